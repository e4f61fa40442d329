import { plainName } from '../../model/forest/words.ts';
import {
  driverPods,
  outputIn,
  PluginError,
  screenText,
  type Cluster,
  type DriverPod,
  type PodChoice,
} from './cluster.ts';
import {
  attachmentsOf,
  claimIn,
  factsText,
  lastEvents,
  nodeToAsk,
  podsUsing,
  volumeIn,
  type ApiFacts,
} from './join.ts';

/** What to explain, and for whom. */
export interface ExplainQuery extends PodChoice {
  /** `pvc` and `pv` are looked up at the API; any other word goes to the driver as it is. */
  readonly kind: 'pvc' | 'pv' | 'word';
  readonly name: string;
  readonly claimNamespace: string | undefined;
  readonly json: boolean;
}

const mostEvents = 10;

/** What the API and the driver know of one volume, as lines for the screen. Resolves to the exit status too. */
export async function explain(
  cluster: Cluster,
  query: ExplainQuery,
): Promise<{ readonly text: string; readonly status: number }> {
  const pods = await driverPods(cluster, query);
  if (query.kind === 'word')
    return asked(cluster, podFor(pods, undefined, undefined), query, undefined);
  const facts = await factsOf(cluster, query);
  const csi = facts.volume?.spec.csi;
  if (!csi) return { text: alone(facts), status: 1 };
  if (!pods.some(({ driver }) => driver === csi.driver))
    throw new PluginError(
      `PersistentVolume ${plainName(facts.volume.metadata.name)} is of driver ${plainName(csi.driver)}, and the pods here are of ${[...new Set(pods.map(({ driver }) => driver))].join(', ')}`,
    );
  const pod = podFor(pods, nodeToAsk(facts), csi.driver);
  return asked(cluster, pod, { ...query, name: csi.volumeHandle }, facts);
}

/** A claim without a volume: its events say why. */
const alone = (facts: ApiFacts): string =>
  [
    'in Kubernetes',
    ...factsText(facts),
    '',
    'It has no volume yet, so the driver knows nothing of it.',
  ].join('\n');

/** The pod of that node; where that is not ready, any that is. */
function podFor(
  pods: readonly DriverPod[],
  node: string | undefined,
  driver: string | undefined,
): DriverPod {
  const own = pods.filter((pod) => driver === undefined || pod.driver === driver);
  const pod =
    own.find((each) => each.node === node && each.ready) ??
    own.find(({ ready }) => ready) ??
    own[0];
  if (!pod) throw new PluginError('no pod of the driver runs');
  return pod;
}

async function asked(
  cluster: Cluster,
  pod: DriverPod,
  { name, json }: ExplainQuery,
  facts: ApiFacts | undefined,
): Promise<{ readonly text: string; readonly status: number }> {
  const answer = await outputIn(cluster, pod, ['explain', name, ...(json ? ['--json'] : [])]);
  const said = answer.out.toString('utf8');
  const status = answer.status ?? 1;
  if (json) return { text: joined(facts, pod, said), status };
  const complaint = answer.err.trim();
  const lines = [
    ...(facts ? ['in Kubernetes', ...factsText(facts), ''] : []),
    `from the driver on node ${plainName(pod.node)}`,
    screenText(said).trimEnd(),
    ...(complaint === '' ? [] : [screenText(complaint, 4000)]),
  ];
  return { text: lines.join('\n'), status };
}

function joined(facts: ApiFacts | undefined, pod: DriverPod, said: string): string {
  const explained: unknown = JSON.parse(said);
  return screenText(
    JSON.stringify({ kubernetes: facts ?? null, askedNode: pod.node, driver: explained }, null, 1),
    64 * 1024 ** 2,
  );
}

async function factsOf(cluster: Cluster, query: ExplainQuery): Promise<ApiFacts> {
  const { claim: named, volume } = await boundOf(cluster, query);
  const claim = named ?? (await claimOf(cluster, volume));
  const name = volume?.metadata.name;
  const attachments =
    name === undefined
      ? []
      : await listed(cluster, ['volumeattachments'], (list) => attachmentsOf(list, name));
  return { claim, volume, attachments, ...(await usesOf(cluster, claim)) };
}

/** The object that was asked for, and the volume that a claim is bound to. */
async function boundOf(
  cluster: Cluster,
  { kind, name, claimNamespace }: ExplainQuery,
): Promise<Pick<ApiFacts, 'claim' | 'volume'>> {
  if (kind === 'pv') return { claim: undefined, volume: volumeIn(await cluster.get('pv', name)) };
  const place = claimNamespace === undefined ? [] : ['-n', claimNamespace];
  const claim = claimIn(await cluster.get('pvc', name, ...place));
  const pv = claim.spec.volumeName;
  return { claim, volume: pv === undefined ? undefined : volumeIn(await cluster.get('pv', pv)) };
}

async function claimOf(cluster: Cluster, volume: ApiFacts['volume']): Promise<ApiFacts['claim']> {
  const ref = volume?.spec.claimRef;
  if (!ref) return undefined;
  const [claim] = await listed(cluster, ['pvc', ref.name, '-n', ref.namespace], (object) => [
    claimIn(object),
  ]);
  return claim;
}

async function usesOf(
  cluster: Cluster,
  claim: ApiFacts['claim'],
): Promise<Pick<ApiFacts, 'pods' | 'events'>> {
  if (!claim) return { pods: [], events: [] };
  const { name, namespace } = claim.metadata;
  const about = ['--field-selector', `involvedObject.name=${name}`];
  return {
    pods: await listed(cluster, ['pods', '-n', namespace], (list) => podsUsing(list, name)),
    events: await listed(cluster, ['events', '-n', namespace, ...about], (list) =>
      lastEvents(list, mostEvents),
    ),
  };
}

/** None where this person may not read it, or it is gone: the other parts are shown all the same. */
async function listed<T>(
  cluster: Cluster,
  args: readonly string[],
  read: (list: unknown) => readonly T[],
): Promise<readonly T[]> {
  try {
    return read(await cluster.get(...args));
  } catch (error) {
    if (error instanceof PluginError) return [];
    throw error;
  }
}
