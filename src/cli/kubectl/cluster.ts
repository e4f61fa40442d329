import { z } from 'zod';
import { plainName } from '../../model/forest/words.ts';
import { errnoOf } from '../../run/files.ts';
import type { UserLimits, UserOutput, UserRun } from '../../run/user/user-run.ts';

/** A command that cannot be done; the message is for the person who gave it. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
  readonly status: 1 | 2;

  constructor(message: string, status: 1 | 2 = 1) {
    super(message);
    this.status = status;
  }
}

/** A cluster as kubectl shows it. */
export interface Cluster {
  /** Objects, as `kubectl get … -o json` prints them. Throws PluginError with the complaint of kubectl. */
  readonly get: (...args: readonly string[]) => Promise<unknown>;
  /** Runs a command of the driver in its pod. Any exit status is an answer. */
  readonly exec: (
    pod: PodAddress,
    argv: readonly string[],
    limits?: Partial<UserLimits>,
  ) => Promise<UserOutput>;
  /** The end of the log of a container. */
  readonly logs: (pod: PodAddress, container: string) => Promise<UserOutput>;
}

/** A pod of the driver. */
export interface PodAddress {
  readonly namespace: string;
  readonly name: string;
}

const MiB = 1024 ** 2;
const getLimits: UserLimits = { mostBytes: 256 * MiB, limitMs: 120_000 };
const execLimits: UserLimits = { mostBytes: 64 * MiB, limitMs: 300_000 };
const logLimits: UserLimits = { mostBytes: 8 * MiB, limitMs: 60_000 };

/** The cluster of these flags of kubectl (`--context NAME`). */
export function clusterOf(run: UserRun, flags: readonly string[]): Cluster {
  const kubectl = async (args: readonly string[], limits: UserLimits): Promise<UserOutput> => {
    try {
      return await run(['kubectl', ...flags, ...args], limits);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      throw new PluginError('kubectl is not on your PATH; install it, or name its directory there');
    }
  };
  return {
    get: async (...args) => {
      const answer = await kubectl(['get', ...args, '-o', 'json'], getLimits);
      if (answer.status !== 0 || answer.cut) throw new PluginError(complaint(args, answer));
      return JSON.parse(answer.out.toString('utf8')) as unknown;
    },
    exec: ({ namespace, name }, argv, limits = {}) =>
      kubectl(['-n', namespace, 'exec', name, '-c', 'driver', '--', 'gpfs-csi', ...argv], {
        ...execLimits,
        ...limits,
      }),
    logs: ({ namespace, name }, container) =>
      kubectl(
        ['-n', namespace, 'logs', name, '-c', container, '--tail=5000', '--timestamps'],
        logLimits,
      ),
  };
}

function complaint(args: readonly string[], { err, cut }: UserOutput): string {
  const what = `kubectl get ${args.join(' ')}`;
  if (cut)
    return `${what} ${cut === 'time' ? 'takes too long' : 'prints too much'}; see whether the API server is well`;
  return `${what} failed: ${screenText(err, 2000).trim()}`;
}

const listSchema = z.looseObject({ items: z.array(z.unknown()) });

/** The items of a list of the API that have this form. */
export const itemsIn = <T>(list: unknown, schema: z.ZodType<T>): readonly T[] =>
  listSchema.parse(list).items.flatMap((item) => schema.safeParse(item).data ?? []);

/** A complaint as one line for the screen. */
export const lineOf = (text: string, most: number): string =>
  screenText(text, most).trim().replaceAll('\n', ' ');

/** A text of a pod as a terminal can show it: bounded, and without what moves the cursor or changes colours. */
export function screenText(text: string, most = 4 * MiB): string {
  const some = text.length > most ? `${text.slice(0, most)}\n… (cut)` : text;
  return some.split('\n').map(plainName).join('\n');
}

const env = z.looseObject({ name: z.string(), value: z.string().optional() });
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.looseObject({
    nodeName: z.string().optional(),
    containers: z.array(
      z.looseObject({
        name: z.string(),
        image: z.string().default('?'),
        env: z.array(env).default([]),
      }),
    ),
  }),
  status: z
    .looseObject({
      phase: z.string().default('?'),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
    })
    .default({ phase: '?', conditions: [] }),
});

/** The driver on one node. */
export interface DriverPod extends PodAddress {
  readonly node: string;
  readonly release: string;
  /** The name of the driver in Kubernetes. */
  readonly driver: string;
  readonly ready: boolean;
  readonly phase: string;
  readonly image: string;
}

/** Which driver is meant. */
export interface PodChoice {
  readonly namespace: string | undefined;
  readonly release: string | undefined;
}

/** Pods of the chart's DaemonSet: those with its label whose container `driver` names roots. Throws PluginError for none. */
export async function driverPods(
  cluster: Cluster,
  { namespace, release }: PodChoice,
): Promise<readonly DriverPod[]> {
  const where = namespace === undefined ? ['-A'] : ['-n', namespace];
  const list = await cluster.get('pods', ...where, '-l', 'app.kubernetes.io/component=node');
  const pods = itemsIn(list, podSchema).flatMap(driverPod);
  const chosen = pods.filter((pod) => release === undefined || pod.release === release);
  if (chosen.length > 0) return chosen.sort((a, b) => (a.node < b.node ? -1 : 1));
  const place = namespace === undefined ? 'this cluster' : `namespace ${namespace}`;
  const others = [...new Set(pods.map((pod) => pod.release))].join(', ');
  throw new PluginError(
    release === undefined || others === ''
      ? `${place} has no pod of the driver; name its namespace by --driver-namespace, or install the chart`
      : `${place} has no release ${release} of the driver, but ${others}`,
  );
}

function driverPod({ metadata, spec, status }: z.output<typeof podSchema>): readonly DriverPod[] {
  const container = spec.containers.find(({ name }) => name === 'driver');
  const setting = (name: string) => container?.env.find((each) => each.name === name)?.value;
  if (!container || setting('GPFS_CSI_ROOT') === undefined) return [];
  return [
    {
      namespace: metadata.namespace,
      name: metadata.name,
      node: spec.nodeName ?? '',
      release: metadata.labels['app.kubernetes.io/instance'] ?? '',
      driver: setting('GPFS_CSI_DRIVER_NAME') ?? 'gpfs-clone.csi',
      ready: status.conditions.some((each) => each.type === 'Ready' && each.status === 'True'),
      phase: status.phase,
      image: container.image,
    },
  ];
}

/** One pod of each release, ready ones first: with several releases each answers for its own roots. */
export function byRelease(pods: readonly DriverPod[]): ReadonlyMap<string, readonly DriverPod[]> {
  const ready = pods.toSorted((a, b) => Number(b.ready) - Number(a.ready));
  return Map.groupBy(ready, ({ namespace, release }) => `${release} in namespace ${namespace}`);
}

/** What a command of the driver printed; throws PluginError with its complaint where it printed nothing. */
export async function outputIn(
  cluster: Cluster,
  pod: DriverPod,
  argv: readonly string[],
): Promise<UserOutput> {
  const answer = await cluster.exec(pod, argv);
  if (answer.cut === 'time')
    throw new PluginError(
      `gpfs-csi ${argv.join(' ')} on node ${pod.node} does not end; GPFS may hang there`,
    );
  if (answer.out.length === 0 && answer.status !== 0)
    throw new PluginError(`node ${pod.node}: ${screenText(answer.err, 4000).trim()}`);
  return answer;
}
