import { cpus } from 'node:os';
import { GiB, MiB, showBytes, type Bytes } from '../../model/bytes.ts';

/**
 * What a program may do. `descriptors`: a user that owns nothing, so it opens what it gets as a descriptor, and what
 * every user may read. `format`: root with CAP_SYS_ADMIN alone, which the kernel asks for. `all`: it asks the kernel
 * to work on a mounted file system, and reads nothing of it itself.
 */
export type Rights = 'descriptors' | 'format' | 'all';

/** The limits of a program that reads bytes which a tenant wrote. */
export interface Confinement {
  /** Of private memory. Address space is no measure: each thread reserves much more than it uses. */
  readonly memory: Bytes;
  readonly cpuSeconds: number;
  readonly rights: Rights;
}

const minute = 60;
const hour = 60 * minute;

// The stack of a thread counts whole as private memory, and has the size of this limit, which a node may have set higher:
// with 64 MiB qemu-img reaches its limit of memory by its threads alone, and aborts.
const stackBytes = 8n * MiB;

// libext2fs reads bitmaps with a thread for each processor.
const stacks = BigInt(cpus().length) * 2n * stackBytes;

// The figures behind the limits are in ADR 46. Nothing here waits for a person or the network, so the processor time
// bounds the time of a program as well, except where its disk does not answer; then a kill would not end it either.
const confinements: ReadonlyMap<string, Confinement> = new Map([
  ['blkid', { memory: 256n * MiB, cpuSeconds: 30, rights: 'descriptors' }],
  ['mkfs.ext4', { memory: 4n * GiB, cpuSeconds: hour, rights: 'descriptors' }],
  ['e2fsck', { memory: 4n * GiB + stacks, cpuSeconds: 2 * hour, rights: 'descriptors' }],
  // An interrupted resize2fs loses data: it may use more than e2fsck, which reads all of the file system just before.
  ['resize2fs', { memory: 8n * GiB + stacks, cpuSeconds: 4 * hour, rights: 'descriptors' }],
  ['tune2fs', { memory: 8n * GiB + stacks, cpuSeconds: hour, rights: 'descriptors' }],
  ['mkfs.xfs', { memory: 4n * GiB, cpuSeconds: hour, rights: 'format' }],
  ['mkfs.btrfs', { memory: 4n * GiB, cpuSeconds: hour, rights: 'format' }],
  ['xfs_growfs', { memory: 256n * MiB, cpuSeconds: 10 * minute, rights: 'all' }],
  ['btrfs', { memory: 256n * MiB, cpuSeconds: 10 * minute, rights: 'all' }],
  // A conversion may take as long as a copy of the largest disk.
  ['qemu-img', { memory: GiB, cpuSeconds: 24 * hour, rights: 'descriptors' }],
]);

/** The limits of a program; undefined for one that reads no bytes of tenants. */
export const confinementOf = (program: string): Confinement | undefined =>
  confinements.get(program);

/** The programs of util-linux that set the limits; each is replaced by the next, and the last one by the program. */
export const confiners = ['prlimit', 'unshare', 'setpriv'] as const;

type Words = readonly [string, ...string[]];

// A soft limit first: its signal says which limit it was.
const graceSeconds = 5;

/** What stands before a program. The user is a number that no one else has now; see `strangeUser`. */
export function wordsBefore({ memory, cpuSeconds, rights }: Confinement): readonly Words[] {
  const cpu = `${cpuSeconds}:${cpuSeconds + graceSeconds}`;
  return [
    ['prlimit', `--data=${memory}`, `--stack=${stackBytes}`, `--cpu=${cpu}`, '--core=0', '--'],
    ['unshare', '--net', '--ipc', '--'],
    ...privileges[rights](),
  ];
}

const privileges: Readonly<Record<Rights, () => readonly Words[]>> = {
  descriptors: () => {
    const user = strangeUser();
    const bounds = ['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'];
    return [['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', ...bounds]];
  },
  format: () => [
    ['setpriv', '--bounding-set=-all,+sys_admin', '--inh-caps=-all', '--no-new-privs', '--'],
  ],
  all: () => [],
};

/**
 * Another user for each command: two of one user could read each other's descriptors. Above the ranges of systemd
 * (systemd.io/UIDS-GIDS) and below 2^31.
 */
const strangeUser = (): number => 0x70000000 + Math.floor(Math.random() * 0x0ffffff0);

const outOfMemory =
  /cannot allocate memory|memory allocation failed|memory exhausted|out of memory|failed to allocate|not enough memory/i;

// The words of the loader of glibc.
const noLibrary = /error while loading shared libraries: .*Permission denied/;

// QEMU aborts then, and glibc has the same error for memory and for the number of processes.
const noThread = /(?:thread_create|create (?:a )?thread)\b.*: Resource temporarily unavailable/i;

/** Which of its limits ended a program, in words for the caller; undefined where none did. */
export function limitMet(
  program: string,
  signal: string | undefined,
  stderr: string,
): string | undefined {
  const limits = confinementOf(program);
  if (!limits) return undefined;
  const missing = confiners.find((each) => stderr.startsWith(`${each} is not installed`));
  if (missing !== undefined)
    return `${missing} is not installed on this node, and ${program} does not run without it; install util-linux`;
  const failed = confiners.find((each) => stderr.startsWith(`${each}: `));
  if (failed !== undefined)
    return `${failed} could not confine ${program} on this node; the log of this node has its words`;
  if (signal === 'SIGXCPU')
    return `${program} used all the processor time that it may; run it by hand on this node if the volume can be trusted`;
  if (noLibrary.test(stderr))
    return `${program} runs as a user without rights, who may not read its libraries here; let all users enter / and read /usr and /lib on this node`;
  if (noThread.test(stderr))
    return `${program} could start no further thread: it needs more than the ${showBytes(limits.memory)} of memory that it may use, or this node allows no more processes (pids.max of the pod, kernel.threads-max); try again when the node has less to do`;
  if (!outOfMemory.test(stderr)) return undefined;
  return `${program} needs more than the ${showBytes(limits.memory)} of memory that it may use; run it by hand on this node if the volume can be trusted`;
}
