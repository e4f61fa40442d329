import { posix } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { defaultCompaction } from '../service/compaction/defaults.ts';
import type { CompactionOptions } from '../service/host.ts';
import type { LogLevel } from '../observe/logger.ts';
import { logLevels } from '../observe/logger.ts';
import type { MmRunner } from '../run/place.ts';
import { socketPath } from '../server/endpoint.ts';
import { registrationSocket } from '../server/registration.ts';

/** How one server runs; made once at start and never changed. */
export interface Config {
  /** CSI_ENDPOINT: the socket of the kubelet. */
  readonly endpoint: string;
  /** The socket of the sidecars, where they have one, and the group they run with. */
  readonly controller: { readonly path: string; readonly gid: number | undefined } | undefined;
  /** Where the kubelet looks for drivers, and our socket as it sees it; undefined leaves that to a sidecar. */
  readonly registration: { readonly directory: string; readonly endpoint: string } | undefined;
  readonly roots: readonly string[];
  readonly mmDirectory: string;
  readonly mmRunner: MmRunner;
  readonly nodeId: string;
  /** 0: no health and metrics port. */
  readonly httpPort: number;
  readonly driverName: string;
  readonly stateDirectory: string;
  readonly kubeletDirectory: string;
  readonly maxVolumesPerNode: number;
  /** Type of the mount a root must lie on. */
  readonly mountType: string;
  /** Pool of new volumes whose class names none; undefined leaves it to the placement policy. */
  readonly pool: string | undefined;
  /** UID of the cluster that owns the roots; empty outside of Kubernetes. */
  readonly owner: string;
  readonly compaction: CompactionOptions;
  readonly logLevel: LogLevel;
  readonly requestLimitMs: number;
  readonly shutdownGraceMs: number;
  readonly bootIdPath: string;
  readonly machineIdPath: string;
}

/** The command line or the environment asks for something impossible; the process ends with status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Variables as process.env has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const absolutePath = z
  .string()
  .refine((path) => path.startsWith('/') && plainPath(path) === path, 'must be an absolute path');
const name = (pattern: RegExp, form: string) => z.string().regex(pattern, `must be ${form}`);
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a whole number from ${least} to ${most}`,
    )
    .transform(Number);
const decimal = (least: number, most: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,3}(\.\d{1,3})?$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a number from ${least} to ${most}`,
    )
    .transform(Number);
const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, `must be ${values.join(' or ')}`);
const socket = z.string().superRefine((endpoint, context) => {
  try {
    socketPath(endpoint);
  } catch (error) {
    context.addIssue(`is wrong: ${error instanceof Error ? error.message : String(error)}`);
  }
});

const rootList = z
  .string('is missing: name the GPFS directory, or several with commas, that volumes live in')
  .transform((text) => text.split(',').map(plainPath))
  .superRefine((roots, context) => {
    for (const root of roots) {
      if (!/^\/[^/]/.test(root)) context.addIssue(`must be absolute paths, which "${root}" is not`);
    }
    for (const [n, root] of roots.entries()) {
      if (roots.indexOf(root) < n) context.addIssue(`names "${root}" twice`);
      const outer = roots.find((each) => inside(root, each));
      if (outer !== undefined) context.addIssue(`names "${root}", which lies in "${outer}"`);
    }
  });

const settings = z.object({
  root: rootList.describe('directories of GPFS that hold volumes, separated by commas'),
  'mm-dir': absolutePath.prefault('/usr/lpp/mmfs/bin').describe('directory of the mm commands'),
  'mm-runner': oneOf(['host', 'direct']).describe(
    'where mm commands run: in the namespaces of the host (default in a pod), or directly',
  ),
  'node-id': name(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/, 'a node name').describe(
    'name of this node (default: the host name)',
  ),
  'controller-endpoint': socket.optional().describe('second socket, for the controller sidecars'),
  'controller-group': wholeNumber(0, 999_999_999)
    .optional()
    .describe('number of the group that may use the second socket'),
  'registration-dir': absolutePath
    .optional()
    .describe('directory of the kubelet for plugins that register themselves (default: none do)'),
  'kubelet-endpoint': absolutePath
    .optional()
    .describe('path of the first socket as the kubelet sees it (default: as we see it)'),
  'http-port': wholeNumber(0, 65535).prefault('0').describe('port of health and metrics; 0 is off'),
  'driver-name': name(
    /^[a-zA-Z][a-zA-Z0-9._-]{0,61}[a-zA-Z]$/,
    'a CSI driver name: 2 to 63 letters, digits, dots or dashes, a letter first and last',
  )
    .prefault('gpfs-clone.csi')
    .describe('name of the driver'),
  'state-dir': absolutePath.prefault('/var/lib/gpfs-csi').describe('what this node remembers'),
  'kubelet-dir': absolutePath
    .prefault('/var/lib/kubelet')
    .describe('directory of the kubelet; no path below it may lead through a symbolic link'),
  'max-volumes-per-node': wholeNumber(1, 100_000).prefault('256').describe('volumes on this node'),
  'mount-type': name(/^[a-z0-9._-]+$/, 'a file system type')
    .prefault('gpfs')
    .describe('type of the mount that roots lie on'),
  pool: name(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a storage pool')
    .optional()
    .describe('storage pool of new volumes (default: the placement policy)'),
  owner: name(/^[A-Za-z0-9._-]{1,128}$/, 'a UID')
    .optional()
    .describe('UID of the kube-system namespace, so that two clusters never share a root'),
  compaction: oneOf(['on', 'paused'])
    .prefault('on')
    .describe('whether deep clone trees are brought down: on or paused'),
  'compact-attached': oneOf(['auto', 'never'])
    .prefault('never')
    .describe(
      'compact volumes in use as well, where a probe of two nodes allows it: auto or never',
    ),
  'compact-factor': decimal(0, 100)
    .prefault(String(defaultCompaction.rule.factor))
    .describe(
      'a tombstone is absorbed while it holds at most so many times what was written since',
    ),
  'compact-dead-share': decimal(0.1, 10)
    .prefault(String(defaultCompaction.rule.deadShare))
    .describe('dead blocks of a volume at most, as a share of the volume'),
  'compact-parallel': wholeNumber(1, 64)
    .prefault(String(defaultCompaction.atOnce))
    .describe('redirects at once on this node'),
  'compact-per-file-system': wholeNumber(1, 64)
    .prefault(String(defaultCompaction.perFileSystem))
    .describe('redirects at once in one file system, from this node'),
  'max-clone-depth': wholeNumber(10, 900)
    .prefault(String(defaultCompaction.maxDepth))
    .describe('clone parents above a volume at most; beyond it snapshots are refused'),
  'log-level': oneOf(logLevels).prefault('info').describe(logLevels.join(', ')),
  'request-limit': wholeNumber(100, 3_600_000).prefault('110000').describe('ms for one request'),
  'shutdown-grace': wholeNumber(0, 3_600_000).prefault('25000').describe('ms for running requests'),
  'proc-path': absolutePath.prefault('/proc/1').describe('process with the host namespaces'),
  'boot-id-path': absolutePath
    .prefault('/proc/sys/kernel/random/boot_id')
    .describe('file with the id of this boot'),
  'machine-id-path': absolutePath.prefault('/etc/machine-id').describe('file with the machine id'),
});

type Setting = keyof typeof settings.shape;
const names = Object.keys(settings.shape) as readonly Setting[];

/** One line for each flag of `serve`, for its help. */
export const serveFlags: readonly (readonly [flag: string, meaning: string])[] = names.map(
  (each) => [`--${each}`, settings.shape[each].description ?? ''],
);

/** Reads the flags of `serve` and the environment; flags win. Throws UsageError with all that is wrong. */
export function readConfig(argv: readonly string[], env: Environment, hostName: string): Config {
  const flags = readFlags(argv);
  const defaults = {
    'node-id': hostName,
    'mm-runner': env['KUBERNETES_SERVICE_HOST'] ? 'host' : 'direct',
  };
  const values = { ...defaults, ...readEnvironment(env), ...flags.values };
  const parsed = settings.safeParse(values);
  const endpoint = socket.safeParse(env['CSI_ENDPOINT'] ?? '');
  const problems = [
    ...flags.problems,
    ...unknownVariables(env),
    ...(endpoint.success ? [] : endpointProblems(env, endpoint.error)),
    ...(parsed.success ? registrationProblems(parsed.data) : parsed.error.issues.map(sentence)),
  ];
  if (problems.length > 0 || !parsed.success || !endpoint.success) {
    throw new UsageError(problems.join('\n'));
  }
  return toConfig(parsed.data, endpoint.data);
}

/** What the start of the log shows. There are no secrets in it: the driver has none. */
export const describeConfig = (config: Config): Readonly<Record<string, unknown>> => ({
  ...config,
});

const toConfig = (values: z.output<typeof settings>, endpoint: string): Config =>
  Object.freeze({
    endpoint,
    controller: controllerSocket(values['controller-endpoint'], values['controller-group']),
    registration: registration(values, endpoint),
    roots: Object.freeze(values.root),
    mmDirectory: values['mm-dir'],
    mmRunner: runner(values['mm-runner'], values['proc-path']),
    nodeId: values['node-id'],
    httpPort: values['http-port'],
    driverName: values['driver-name'],
    stateDirectory: values['state-dir'],
    kubeletDirectory: values['kubelet-dir'],
    maxVolumesPerNode: values['max-volumes-per-node'],
    mountType: values['mount-type'],
    pool: values.pool,
    owner: values.owner ?? '',
    compaction: compaction(values),
    logLevel: values['log-level'],
    requestLimitMs: values['request-limit'],
    shutdownGraceMs: values['shutdown-grace'],
    bootIdPath: values['boot-id-path'],
    machineIdPath: values['machine-id-path'],
  });

const compaction = (values: z.output<typeof settings>): CompactionOptions => ({
  rule: {
    ...defaultCompaction.rule,
    factor: values['compact-factor'],
    deadShare: values['compact-dead-share'],
  },
  paused: values.compaction === 'paused',
  attached: values['compact-attached'],
  perFileSystem: values['compact-per-file-system'],
  atOnce: values['compact-parallel'],
  maxDepth: values['max-clone-depth'],
});

const runner = (where: 'host' | 'direct', procPath: string): MmRunner =>
  where === 'host' ? { kind: 'nsenter', procPath } : { kind: 'direct' };

const controllerSocket = (endpoint: string | undefined, gid: number | undefined) =>
  endpoint === undefined ? undefined : { path: socketPath(endpoint), gid };

const registration = (values: z.output<typeof settings>, endpoint: string) => {
  const directory = values['registration-dir'];
  const seen = values['kubelet-endpoint'] ?? socketPath(endpoint);
  return directory === undefined ? undefined : { directory, endpoint: seen };
};

// Together they make the path of a socket, and one may be too long.
const registrationProblems = (values: z.output<typeof settings>): readonly string[] => {
  const directory = values['registration-dir'];
  try {
    if (directory !== undefined) registrationSocket(directory, values['driver-name']);
    return [];
  } catch (error) {
    return [`--registration-dir: ${error instanceof Error ? error.message : String(error)}`];
  }
};

const PREFIX = 'GPFS_CSI_';
const variable = (setting: string): string =>
  `${PREFIX}${setting.replaceAll('-', '_').toUpperCase()}`;

// Kubernetes puts the addresses of services into the environment, and one may be called gpfs-csi-….
const serviceLink =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)$/;

const unknownVariables = (env: Environment): readonly string[] => {
  const known = new Set(names.map(variable));
  return Object.keys(env)
    .filter((key) => key.startsWith(PREFIX) && !known.has(key) && !serviceLink.test(key))
    .map((key) => `${key} is not a variable of this driver`);
};

// An empty value is what a chart leaves behind where nothing was chosen.
const readEnvironment = (env: Environment): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.flatMap((each) => {
      const value = env[variable(each)];
      return value ? [[each, value]] : [];
    }),
  );

function readFlags(argv: readonly string[]) {
  const options = Object.fromEntries(names.map((each) => [each, { type: 'string' as const }]));
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true });
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`"${token.value}" is not expected here`);
    if (token.kind !== 'option') continue;
    if (!(token.name in options)) problems.push(`${token.rawName} is not a flag of serve`);
    else if (token.value === undefined) problems.push(`${token.rawName} needs a value`);
    else if (token.name in values) problems.push(`${token.rawName} is given twice`);
    else values[token.name] = token.value;
  }
  return { values, problems };
}

const endpointProblems = (env: Environment, error: z.ZodError): readonly string[] =>
  env['CSI_ENDPOINT']
    ? error.issues.map(({ message }) => `CSI_ENDPOINT ${message}`)
    : ['CSI_ENDPOINT is missing: set it to the socket to listen on, unix:///folder/name.sock'];

const sentence = ({ path, message }: z.core.$ZodIssue): string =>
  `--${String(path[0])} (${variable(String(path[0]))}) ${message}`;

const plainPath = (path: string): string => {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
};

const inside = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);
