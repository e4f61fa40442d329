import { DriverError, type Fault } from '../model/fault.ts';
import { errnoOf } from '../run/files.ts';
import { CommandFailed, type Run } from '../run/run.ts';

/** The error numbers that mm commands name, in the words of strerror(3). */
const errnoTexts = {
  ENOENT: 'no such file or directory',
  EEXIST: 'file exists',
  EROFS: 'read-only file system',
  EXDEV: 'invalid cross-device link',
  EPERM: 'operation not permitted',
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  EINVAL: 'invalid argument',
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
  EIO: 'input/output error',
  ENODEV: 'no such device',
  ETIMEDOUT: 'connection timed out',
} as const;

/** An error number that a command named in words. */
export type MmErrno = keyof typeof errnoTexts;

type Kind = Exclude<Fault['kind'], 'invalid-request'>;
type Verdict = readonly [kind: Kind, reason: string];

const daemonDown: Verdict = [
  'unavailable',
  'GPFS is down on this node; start it with mmstartup and try again',
];
const notReachable: Verdict = [
  'unavailable',
  'the cluster is not reachable from this node; see mmgetstate -a',
];

/** Whole sentences of GPFS, in lower case; they say more than an error number in the same text. */
const phrases: readonly (readonly [text: string, verdict: Verdict])[] = [
  ['failed to connect to file system daemon', daemonDown],
  ['gpfs is down on this node', daemonDown],
  [
    'does not belong to a gpfs cluster',
    ['misconfigured', 'this node is not a member of a GPFS cluster; add it with mmaddnode'],
  ],
  ['failed to determine file system manager', notReachable],
  ['unable to determine the local node identity', notReachable],
  ['make sure that the following nodes are available', notReachable],
  [
    'file system not mounted',
    ['unavailable', 'the file system is not mounted on this node; mount it with mmmount'],
  ],
  [
    'is not known to the gpfs cluster',
    ['misconfigured', 'the cluster knows no such file system; see mmlsfs all'],
  ],
  [
    'fileset named',
    ['misconfigured', 'there is no such fileset; see mmlsfileset of the file system'],
  ],
  ['superuser', ['permission-denied', 'only root may run it; run the driver as root']],
  [
    'file system is read-only',
    ['wrong-state', 'the file system is mounted read-only; mount it for writing'],
  ],
];

const errnoVerdicts: Readonly<Record<MmErrno, Verdict>> = {
  ENOENT: ['path-missing', 'the file or its directory is not there'],
  EEXIST: ['name-taken', 'the target exists already'],
  EROFS: ['wrong-state', 'a clone parent, or a file system mounted read-only, cannot be written'],
  EXDEV: ['misconfigured', 'clones stay inside one fileset, and these paths are in two'],
  EPERM: ['permission-denied', 'GPFS does not permit it; run the driver as root'],
  EACCES: ['permission-denied', 'the file may not be accessed; run the driver as root'],
  EBUSY: ['busy', 'the file is open elsewhere; try again when it is closed'],
  EINVAL: ['wrong-state', 'it is not a regular file of a mounted GPFS file system'],
  ENOSPC: ['no-space', 'the file system, pool or fileset is full; delete something or add space'],
  EDQUOT: ['no-space', 'the quota is used up; delete something or raise it with mmsetquota'],
  ESTALE: ['unavailable', 'GPFS went away while the file was open; see mmgetstate'],
  EIO: ['unavailable', 'GPFS could not reach its disks; see mmlsdisk'],
  ENODEV: ['unavailable', 'the file system is gone from this node; see mmlsmount'],
  ETIMEDOUT: ['unavailable', 'GPFS did not answer in time; see mmgetstate'],
};

// mmclone says EPERM of a file in the wrong place of its clone tree, and not of missing rights.
const cloneRefused: Verdict = ['wrong-state', 'the file is not a clone parent, or not a clone'];

/** The same Run; what it rejects with is a DriverError, and the CommandFailed is its cause. */
export const translated =
  (run: Run): Run =>
  async (argv, kind, options) => {
    try {
      return await run(argv, kind, options);
    } catch (error) {
      throw error instanceof CommandFailed ? mmFailure(error) : error;
    }
  };

/** The error number that a failed command named, if it is one we know. */
export function mmErrno(error: unknown): MmErrno | undefined {
  const failure = error instanceof DriverError ? error.cause : error;
  return failure instanceof CommandFailed ? errnoText(words(failure)) : undefined;
}

/** What a failed mm command means to a caller. */
export function mmFailure(failure: CommandFailed): DriverError {
  const [kind, reason] = notEnded(failure) ?? spoken(failure);
  return new DriverError(kind, `${failure.argv.join(' ')} failed: ${reason}`, failure);
}

/** The output has no line that we can read; the line is in the cause, for the log. */
export const unreadable = (command: string, line: string): DriverError =>
  new DriverError(
    'unreadable-output',
    `${command} answered in a form this driver does not know; the log of this node has the line`,
    new Error(`unreadable: ${JSON.stringify(line.slice(0, 1000))}`),
  );

/** What a text says of a failure, for commands that fail with status 0; undefined when nothing we know. */
export const phraseVerdict = (text: string): Verdict | undefined => {
  const lower = text.toLowerCase();
  return phrases.find(([phrase]) => lower.includes(phrase))?.[1];
};

/** What it means that a command did not run to its end, or did not start. */
function notEnded(failure: CommandFailed): Verdict | undefined {
  if (failure.timedOut || failure.aborted) {
    return ['unavailable', 'GPFS did not answer in time; see mmgetstate and mmdiag --waiters'];
  }
  if (cannotStart(failure)) {
    return ['misconfigured', 'the program cannot be started; check the mm directory and runner'];
  }
  if (failure.stderr.startsWith('nsenter:')) {
    return ['misconfigured', 'the namespaces of the host cannot be entered; set hostPID'];
  }
  switch (failure.exitCode) {
    case undefined:
      return ['unavailable', 'it did not run to its end; see the log of this node'];
    case 0:
      return ['unreadable-output', 'its output is too long; see the log of this node'];
    default:
      return undefined;
  }
}

// 126 and 127 are what nsenter and shells answer for a program they cannot start.
const cannotStart = ({ cause, exitCode }: CommandFailed): boolean =>
  ['ENOENT', 'EACCES'].includes(errnoOf(cause) ?? '') || exitCode === 126 || exitCode === 127;

function spoken(failure: CommandFailed): Verdict {
  const text = words(failure);
  const verdict = phraseVerdict(text);
  if (verdict !== undefined) return verdict;
  const errno = errnoText(text);
  if (errno === 'EPERM' && failure.argv[0] === 'mmclone') return cloneRefused;
  if (errno !== undefined) return errnoVerdicts[errno];
  const status = failure.exitCode ?? 'none';
  return ['command-failed', `it ended with status ${status}; the log of this node has its words`];
}

/** What it wrote to stderr, without the arguments: a directory may be called `File exists`. */
function words(failure: CommandFailed): string {
  const [, ...args] = failure.argv;
  return args
    .filter((argument) => argument.startsWith('/'))
    .sort((a, b) => b.length - a.length)
    .reduce((text, argument) => text.replaceAll(argument, ''), failure.stderr)
    .toLowerCase();
}

const errnoText = (lower: string): MmErrno | undefined =>
  (Object.keys(errnoTexts) as MmErrno[]).find((code) => lower.includes(errnoTexts[code]));
