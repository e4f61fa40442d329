import { fleetReport, fleetText, type FleetReport } from '../../model/audit/fleet.ts';
import { indentedColumns } from '../../model/forest/columns.ts';
import { messageOf } from '../../model/fault.ts';
import { plainName } from '../../model/forest/words.ts';
import { inParallel } from '../../run/parallel.ts';
import {
  byRelease,
  driverPods,
  outputIn,
  PluginError,
  screenText,
  type Cluster,
  type DriverPod,
  type PodChoice,
} from './cluster.ts';
import { compare, filesIn, knownContents, knownVolumes, orphansText } from './orphans.ts';

/** Pods that are asked one after the other until one answers. */
const tries = 3;

/** Pods that are asked at once. */
const atOnce = 4;

/** Lines for the screen, and whether all is well. */
export interface Screen {
  readonly lines: readonly string[];
  readonly ok: boolean;
}

/** The first answer of the pods of a release. Throws what the last of them said. */
async function firstAnswer<T>(
  pods: readonly DriverPod[],
  ask: (pod: DriverPod) => Promise<T>,
): Promise<T> {
  let last: unknown = new PluginError('no pod of the driver runs');
  for (const pod of pods.slice(0, tries))
    try {
      return await ask(pod);
    } catch (error) {
      last = error;
    }
  throw last;
}

/** All pods, nodes, roots, abilities, queues and versions, release by release. */
export async function status(cluster: Cluster, choice: PodChoice, nowMs: number): Promise<Screen> {
  const lines: string[] = [];
  let ok = true;
  for (const [release, pods] of byRelease(await driverPods(cluster, choice))) {
    const of = await statusOf(cluster, release, pods, nowMs);
    lines.push(...of.lines, '');
    ok &&= of.ok;
  }
  return { lines: [...lines, ok ? 'healthy' : 'not healthy'], ok };
}

async function statusOf(
  cluster: Cluster,
  release: string,
  pods: readonly DriverPod[],
  nowMs: number,
): Promise<Screen> {
  const head = [
    `release ${plainName(release)}, driver ${plainName(pods[0]?.driver ?? '')}`,
    ...podLines(pods),
  ];
  const report = await firstAnswer(pods, (pod) => reportOf(cluster, pod)).catch(messageOf);
  if (typeof report === 'string')
    return { lines: [...head, `its nodes are not known: ${screenText(report, 2000)}`], ok: false };
  const roots = report.roots.flatMap((root) => fleetText(root, nowMs));
  return { lines: [...head, ...roots], ok: report.healthy && pods.every(({ ready }) => ready) };
}

const podLines = (pods: readonly DriverPod[]): readonly string[] =>
  indentedColumns([
    ['POD', 'NODE', 'READY', 'PHASE', 'IMAGE'],
    ...pods
      .toSorted((a, b) => (a.node < b.node ? -1 : 1))
      .map(({ name, node, ready, phase, image }) =>
        [name, node, ready ? 'yes' : 'NO', phase, image].map(plainName),
      ),
  ]);

async function reportOf(cluster: Cluster, pod: DriverPod): Promise<FleetReport> {
  const { out } = await outputIn(cluster, pod, ['doctor', '--all-nodes', '--json']);
  const { data } = fleetReport.safeParse(JSON.parse(out.toString('utf8')));
  if (data) return data;
  throw new PluginError(
    `the driver on node ${pod.node} answers in a form that this plugin does not know; use the plugin of its version`,
  );
}

/** What Kubernetes and the roots have without the other. Nothing is changed. */
export async function orphans(cluster: Cluster, choice: PodChoice, nowMs: number): Promise<Screen> {
  const lines: string[] = [];
  for (const [release, pods] of byRelease(await driverPods(cluster, choice))) {
    const driver = pods[0]?.driver ?? '';
    // The roots first: an object that is made meanwhile has its file there already.
    const files = await firstAnswer(pods, (pod) => allFiles(cluster, pod));
    const contents = await cluster
      .get('volumesnapshotcontents.snapshot.storage.k8s.io')
      .then((list) => knownContents(list, driver))
      .catch(messageOf);
    const volumes = knownVolumes(await cluster.get('pv'), driver);
    const known = typeof contents === 'string' ? undefined : contents;
    lines.push(`release ${plainName(release)}: ${files.length} volumes and snapshots in the roots`);
    lines.push(...orphansText(compare({ volumes, contents: known, files }, nowMs), nowMs));
    if (typeof contents === 'string')
      lines.push(`snapshots are not compared: ${screenText(contents, 500)}`);
  }
  return { lines, ok: true };
}

/** All files of the roots. A root that could not be read whole would show orphans that are none. */
async function allFiles(cluster: Cluster, pod: DriverPod) {
  const answer = await outputIn(cluster, pod, ['tree', '--json']);
  if (answer.status === 0 && answer.cut === undefined) return filesIn(answer.out.toString('utf8'));
  throw new PluginError(
    `node ${pod.node} could not read all of its roots, so nothing is said of orphans: ${screenText(answer.err, 2000).trim()}`,
  );
}

/** What a command of the driver prints on each of these pods. */
export async function onEach(
  cluster: Cluster,
  pods: readonly DriverPod[],
  argv: readonly string[],
): Promise<Screen> {
  const answers = await inParallel(pods, atOnce, async (pod) => {
    const answer = await outputIn(cluster, pod, argv).catch(messageOf);
    if (typeof answer === 'string') return { ok: false, text: screenText(answer, 4000) };
    const text = `${answer.out.toString('utf8')}${answer.err}`;
    return { ok: answer.status === 0 && !answer.cut, text: screenText(text).trimEnd() };
  });
  return { lines: answers.map(({ text }) => text), ok: answers.every(({ ok }) => ok) };
}

/** The pods of one node, or all. Throws PluginError where that node has none. */
export async function podsOn(
  cluster: Cluster,
  choice: PodChoice,
  node: string | undefined,
): Promise<readonly DriverPod[]> {
  const pods = await driverPods(cluster, choice);
  const own = pods.filter((pod) => node === undefined || pod.node === node);
  if (own.length > 0) return own;
  throw new PluginError(
    `node ${node ?? ''} has no pod of the driver; those that have one: ${pods.map((pod) => pod.node).join(', ')}`,
  );
}
