/** Releases whose `-Y` headers and fields the simulator knows. */
export const releases = ['4.1', '5.0', '5.2', '6.0'] as const;
export type SimulatedRelease = (typeof releases)[number];

export const daemonStates = ['active', 'arbitrating', 'down', 'unknown'] as const;
export type SimulatedDaemonState = (typeof daemonStates)[number];

export const removeErrors = ['EROFS', 'EPERM', 'EBUSY'] as const;
export type RemoveError = (typeof removeErrors)[number];

/** How the simulated GPFS behaves, where the documentation leaves it open, and what is wrong with its cluster. */
export interface Personality {
  readonly release: SimulatedRelease;
  readonly daemon: SimulatedDaemonState;
  /** False: the node belongs to no GPFS cluster. */
  readonly member: boolean;
  readonly mounted: boolean;
  /** Whatever needs a block or an inode fails with ENOSPC. */
  readonly full: boolean;
  /** The same with EDQUOT. */
  readonly quota: boolean;
  /** Commands that never return; `all` stands for every one. */
  readonly hang: readonly string[];
  readonly latencyMs: number;
  /** A line of noise before the output of every `-Y` query. */
  readonly garbage: boolean;
  /** Queries that fail print why, and exit with status 0. */
  readonly zeroOnFailure: boolean;
  /** Exit status of a query for a fileset that is not there. */
  readonly missingFileset: 2 | 22;
  /** How long a parent cannot be removed after it lost its last child. */
  readonly deleteWindowMs: number;
  /** Two-name snap of a file that is open for writing: allowed, or EBUSY. */
  readonly snapOpen: boolean;
  /** redirect and split of a file that is itself a parent: allowed, or EPERM. */
  readonly redirectParent: boolean;
  /** redirect and split of a file that is open for writing: allowed, or EBUSY. */
  readonly redirectOpen: boolean;
  /** A redirect keeps data that is written while it runs, or copies the parent's blocks over it. */
  readonly redirectKeeps: boolean;
  /** What removing a parent with children fails with. */
  readonly removeParent: RemoveError;
  /** A parent with children can be renamed, or renaming fails as removing does. */
  readonly renameParent: boolean;
  /** The mode of a parent can be changed, or chmod fails with EROFS. */
  readonly chmodParent: boolean;
  /** A parent can be opened for writing, or opening fails with EROFS, as on every GPFS that we know of. */
  readonly writeParent: boolean;
  /** stat(2) counts the children of a parent among its links. */
  readonly linkCount: boolean;
  /** Loop devices use direct I/O. */
  readonly loopDirectIo: boolean;
  /** A zeroed sector of a clone reads as zeros, or as the data of its parent. */
  readonly zeroInClone: boolean;
  /** Discarding on a loop device makes holes, or fails with EOPNOTSUPP. */
  readonly punchHole: boolean;
  readonly maxDepth: number;
  /** How many blocks redirect and split can copy before they run out of space; -1: no limit. Copied blocks stay. */
  readonly copyRoom: number;
  /** Only in process: a command that is killed while it waits still has its effect later. */
  readonly lateEffects: boolean;
  /** Whether the file system says that it encrypts at rest. */
  readonly encryption: boolean;
  /** Limit on the blocks of the driver's fileset, in KiB; 0: quotas are not enforced. */
  readonly filesetQuotaKiB: number;
  /** What mmlsquota reports as used of the limit, and as in doubt. */
  readonly filesetUsedKiB: number;
  readonly filesetInDoubtKiB: number;
}

/** A healthy GPFS as documented. Where nothing is documented: the behaviour that is hardest for a caller. */
export const documented: Personality = {
  release: '5.2',
  daemon: 'active',
  member: true,
  mounted: true,
  full: false,
  quota: false,
  hang: [],
  latencyMs: 0,
  garbage: false,
  zeroOnFailure: false,
  missingFileset: 22,
  deleteWindowMs: 0,
  snapOpen: true,
  redirectParent: false,
  redirectOpen: true,
  redirectKeeps: true,
  removeParent: 'EROFS',
  renameParent: true,
  chmodParent: true,
  writeParent: false,
  linkCount: true,
  loopDirectIo: true,
  zeroInClone: true,
  punchHole: true,
  maxDepth: 1000,
  copyRoom: -1,
  lateEffects: false,
  encryption: false,
  filesetQuotaKiB: 0,
  filesetUsedKiB: 0,
  filesetInDoubtKiB: 0,
};

const oneOf =
  (...allowed: readonly unknown[]) =>
  (value: unknown): boolean =>
    allowed.includes(value);
const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isFlag = oneOf(true, false);

// Written without a schema library, because every simulated command reads this when it starts.
const checks: Readonly<Record<keyof Personality, (value: unknown) => boolean>> = {
  release: oneOf(...releases),
  daemon: oneOf(...daemonStates),
  member: isFlag,
  mounted: isFlag,
  full: isFlag,
  quota: isFlag,
  hang: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
  latencyMs: isCount,
  garbage: isFlag,
  zeroOnFailure: isFlag,
  missingFileset: oneOf(2, 22),
  deleteWindowMs: isCount,
  snapOpen: isFlag,
  redirectParent: isFlag,
  redirectOpen: isFlag,
  redirectKeeps: isFlag,
  removeParent: oneOf(...removeErrors),
  renameParent: isFlag,
  chmodParent: isFlag,
  writeParent: isFlag,
  linkCount: isFlag,
  loopDirectIo: isFlag,
  zeroInClone: isFlag,
  punchHole: isFlag,
  maxDepth: isCount,
  copyRoom: (value) => value === -1 || isCount(value),
  lateEffects: isFlag,
  encryption: isFlag,
  filesetQuotaKiB: isCount,
  filesetUsedKiB: isCount,
  filesetInDoubtKiB: isCount,
};

/** A personality from the settings of a file or of flags. Throws an error that names an unknown key or value. */
export function readPersonality(settings: Readonly<Record<string, unknown>>): Personality {
  for (const [key, value] of Object.entries(settings)) {
    const check = Object.hasOwn(checks, key) ? checks[key as keyof Personality] : undefined;
    if (!check) throw new Error(`the simulator has no setting ${key}; see docs/simulator.md`);
    if (!check(value)) throw new Error(`${JSON.stringify(value)} is no value for setting ${key}`);
  }
  return { ...documented, ...settings };
}

/** Key and value of one `key=value` on a command line. The value is a boolean, a number, a list (`hang`) or text. */
export function readSetting(text: string): readonly [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`${text} is not of the form key=value`);
  const key = text.slice(0, at);
  const value = text.slice(at + 1);
  if (key === 'hang') return [key, value === '' ? [] : value.split(',')];
  const words: Readonly<Record<string, unknown>> = { true: true, false: false };
  if (Object.hasOwn(words, value)) return [key, words[value]];
  // A release such as 5.2 looks like a number and is text.
  return [key, key !== 'release' && /^-?\d+$/.test(value) ? Number(value) : value];
}

/** The errno of a call that needs space, when there is none. */
export const noSpace = (personality: Personality): 'ENOSPC' | 'EDQUOT' | undefined =>
  personality.full ? 'ENOSPC' : personality.quota ? 'EDQUOT' : undefined;

/** Whether the file system is there at all on this node. */
export const isMounted = (personality: Personality): boolean =>
  personality.member && personality.mounted && personality.daemon === 'active';
