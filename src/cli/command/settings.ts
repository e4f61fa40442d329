import { messageOf } from '../../model/fault.ts';
import { posix } from 'node:path';
import { isIP } from 'node:net';
import { z } from 'zod';
import { defaultCompaction } from '../../service/compaction/worker.ts';
import { logFormats, logLevels } from '../../observe/logger.ts';
import { socketPath } from '../../server/transport/endpoint.ts';

/** Environment variables, as in process.env. */
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
/** An endpoint to listen on, in the form of CSI_ENDPOINT. */
export const socket = z.string().superRefine((endpoint, context) => {
  try {
    socketPath(endpoint);
  } catch (error) {
    context.addIssue(`is wrong: ${messageOf(error)}`);
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
  root: rootList.describe('GPFS directories that hold volumes, separated by commas'),
  'mm-dir': absolutePath.prefault('/usr/lpp/mmfs/bin').describe('directory of the mm commands'),
  'mm-runner': oneOf(['host', 'direct']).describe(
    'in which namespaces mm commands run: host (default in a pod), or direct: those of the driver',
  ),
  'node-id': name(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/, 'a node name').describe(
    'name of this node (default: the host name)',
  ),
  'controller-endpoint': socket
    .optional()
    .describe('second socket, for the sidecars of the controller'),
  'controller-group': wholeNumber(0, 999_999_999)
    .optional()
    .describe('numeric id of the group that may use the second socket'),
  'registration-dir': absolutePath
    .optional()
    .describe(
      'directory where the kubelet looks for plugins (default: a sidecar registers the driver)',
    ),
  'kubelet-endpoint': absolutePath
    .optional()
    .describe('path of the first socket as the kubelet sees it (default: as the driver sees it)'),
  'http-port': wholeNumber(0, 65535).prefault('0').describe('port of health and metrics; 0: none'),
  'http-address': z
    .string()
    .refine((text) => isIP(text) !== 0, 'must be an address of IPv4 or IPv6')
    .prefault('::')
    .describe('address of health and metrics; :: is every address, of IPv4 as well'),
  'metrics-volumes': wholeNumber(0, 1_000)
    .prefault('0')
    .describe('volumes of each root that have metrics of their own, those that hold most; 0: none'),
  'driver-name': name(
    /^[a-zA-Z][a-zA-Z0-9._-]{0,61}[a-zA-Z]$/,
    'a CSI driver name: 2 to 63 letters, digits, dots or dashes, a letter first and last',
  )
    .prefault('gpfs-clone.csi')
    .describe('name of the driver in Kubernetes'),
  'state-dir': absolutePath
    .prefault('/var/lib/gpfs-csi')
    .describe('directory for what the driver keeps about this node'),
  'kubelet-dir': absolutePath
    .prefault('/var/lib/kubelet')
    .describe('directory of the kubelet; no path below it may lead through a symbolic link'),
  'max-volumes-per-node': wholeNumber(1, 100_000)
    .prefault('256')
    .describe('how many volumes this node may have attached'),
  'trim-hours': wholeNumber(0, 8760)
    .prefault('24')
    .describe('hours between two times that the free blocks of a volume are returned; 0: never'),
  'mount-type': name(/^[a-z0-9._-]+$/, 'a file system type')
    .prefault('gpfs')
    .describe('file system type of the mount that roots lie on'),
  pool: name(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a storage pool')
    .optional()
    .describe(
      'storage pool of volumes whose class names none (default: as the placement policy says)',
    ),
  owner: name(/^[A-Za-z0-9._-]{1,128}$/, 'a UID')
    .optional()
    .describe('UID of the kube-system namespace, which keeps two clusters from using one root'),
  topology: oneOf(['false', 'true'])
    .prefault('false')
    .describe('true: report which roots this node has, so that pods run where their volumes are'),
  compaction: oneOf(['on', 'paused'])
    .prefault('on')
    .describe('whether deep clone trees are compacted: on or paused'),
  'compact-attached': oneOf(['auto', 'never'])
    .prefault('never')
    .describe(
      'whether volumes in use are compacted too: auto, where a probe of two nodes allows it, or never',
    ),
  'compact-factor': decimal(0, 100)
    .prefault(String(defaultCompaction.rule.factor))
    .describe(
      'a tombstone is absorbed while it holds at most this many times the data written since',
    ),
  'compact-dead-share': decimal(0.1, 10)
    .prefault(String(defaultCompaction.rule.deadShare))
    .describe('most dead blocks that a volume may keep, as a share of its size'),
  'compact-parallel': wholeNumber(1, 64)
    .prefault(String(defaultCompaction.atOnce))
    .describe('most redirects that this node runs at once'),
  'compact-per-file-system': wholeNumber(1, 64)
    .prefault(String(defaultCompaction.perFileSystem))
    .describe('most redirects that this node runs at once in one file system'),
  'max-clone-depth': wholeNumber(10, 900)
    .prefault(String(defaultCompaction.maxDepth))
    .describe('most clone parents above a volume; snapshots and clones beyond that are refused'),
  'allow-buffered': oneOf(['false', 'true'])
    .prefault('false')
    .describe('true: use loop devices without direct I/O where GPFS allows no others'),
  probe: oneOf(['auto', 'never'])
    .prefault('auto')
    .describe(
      'auto: try at the start, with tiny files, what this GPFS allows, once a version; or never',
    ),
  'overcommit-limit': wholeNumber(0, 100_000)
    .prefault('0')
    .describe('most that all volumes of a root may have together, in percent of it; 0: no limit'),
  reserve: wholeNumber(0, 90)
    .prefault('0')
    .describe('percent of a root that must be free before a new volume is made'),
  'log-level': oneOf(logLevels).prefault('info').describe(logLevels.join(', ')),
  'log-format': oneOf(logFormats)
    .prefault('json')
    .describe('json for programs, or text for people'),
  'request-limit': wholeNumber(100, 3_600_000)
    .prefault('110000')
    .describe('time limit of one request, in ms'),
  'shutdown-grace': wholeNumber(0, 3_600_000)
    .prefault('25000')
    .describe('time that running requests get at the end, in ms'),
  'proc-path': absolutePath
    .prefault('/proc/1')
    .describe('directory in /proc of a process in the namespaces of the host'),
  'boot-id-path': absolutePath
    .prefault('/proc/sys/kernel/random/boot_id')
    .describe('file with the id of this boot'),
  'machine-id-path': absolutePath.prefault('/etc/machine-id').describe('file with the machine id'),
});

/** A flag that `serve` knows, without its dashes. */
export type Setting = keyof typeof settings.shape;

/** The settings, parsed. */
export type Settings = z.output<typeof settings>;

/** Every flag of `serve`. */
export const allSettings = Object.keys(settings.shape) as readonly Setting[];

/** One line of a help text for each of these flags: its meaning, and its default where that is fixed. */
export const settingLines = (names: readonly Setting[]): readonly string[] =>
  flagLines(
    names.map((each) => {
      const { description = '' } = settings.shape[each];
      const { data } = settings.shape[each].safeParse(undefined);
      const fixed = data === undefined ? '' : ` (default: ${String(data)})`;
      return [each, `${description}${fixed}`];
    }),
  );

/** These flags, each of which takes a value. */
export const settingFlags = (names: readonly Setting[]): Readonly<Record<string, 'value'>> =>
  Object.fromEntries(names.map((each) => [each, 'value' as const]));

/** Flags, without their dashes, and what they mean, as lines of a help text with two columns. */
export function flagLines(
  flags: readonly (readonly [name: string, meaning: string])[],
): readonly string[] {
  const longest = Math.max(23, ...flags.map(([name]) => name.length));
  return flags.map(([name, meaning]) => `  --${name.padEnd(longest)}  ${meaning}`);
}

/** The settings of a command line and an environment; undefined where there are `problems`. */
export interface SettingsRead<Name extends Setting> {
  readonly settings: Pick<Settings, Name> | undefined;
  readonly problems: readonly string[];
}

/**
 * Reads settings from flags and environment; a flag comes before a variable. Variables of other settings are ignored:
 * a command in the driver's container sees those of `serve`.
 */
export function readSettings<Name extends Setting>(
  names: readonly Name[],
  flags: ReadonlyMap<string, string>,
  env: Environment,
  hostName: string,
): SettingsRead<Name> {
  const defaults = {
    'node-id': hostName,
    'mm-runner': env['KUBERNETES_SERVICE_HOST'] ? 'host' : 'direct',
  };
  const given = { ...defaults, ...readEnvironment(names, env), ...Object.fromEntries(flags) };
  const { success, data, error } = pick(names).safeParse(given);
  const problems = [...unknownVariables(env), ...(error?.issues ?? []).map(sentence)];
  return { settings: success ? data : undefined, problems };
}

const pick = <Name extends Setting>(names: readonly Name[]) =>
  z.object(
    Object.fromEntries(names.map((each) => [each, settings.shape[each]])),
  ) as unknown as z.ZodType<Pick<Settings, Name>>;

const PREFIX = 'GPFS_CSI_';
const variable = (setting: string): string =>
  `${PREFIX}${setting.replaceAll('-', '_').toUpperCase()}`;

// Kubernetes sets variables with the addresses of services, and a service may be called gpfs-csi-….
const serviceLink =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)$/;

const unknownVariables = (env: Environment): readonly string[] => {
  const known = new Set(allSettings.map(variable));
  return Object.keys(env)
    .filter((key) => key.startsWith(PREFIX) && !known.has(key) && !serviceLink.test(key))
    .map((key) => `${key} is not a variable of this driver`);
};

// A chart sets an empty value where the administrator chose none.
const readEnvironment = (
  names: readonly Setting[],
  env: Environment,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.flatMap((each) => {
      const value = env[variable(each)];
      return value ? [[each, value]] : [];
    }),
  );

const sentence = ({ path, message }: z.core.$ZodIssue): string =>
  `--${String(path[0])} (${variable(String(path[0]))}) ${message}`;

const plainPath = (path: string): string => {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
};

const inside = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);
