import { basename } from 'node:path';
import { CommandFailed, type Run, type RunKind, type RunOptions } from '../../run/run.ts';
import type { Files } from '../../run/files.ts';
import type { VirtualClock } from '../core/clock.ts';
import { hangs, runCommand } from '../commands/dispatch.ts';
import type { Faults } from '../core/faults.ts';
import type { Ground } from '../core/ground.ts';
import type { FilesNow } from './files.ts';
import type { CommandOutcome } from '../commands/text.ts';

/** How often each command and method was called. */
export interface Counts {
  /** By command, with its verb where it has one: `mmclone snap`. */
  readonly commands: Map<string, number>;
  /** By method of Files. */
  readonly files: Map<string, number>;
  fsyncs: number;
}

export const noCounts = (): Counts => ({ commands: new Map(), files: new Map(), fsyncs: 0 });

/** What the ports of one server share. */
export interface Behind {
  readonly ground: Ground;
  readonly clock: VirtualClock;
  readonly faults: Faults;
  readonly counts: readonly Counts[];
  /** Awaited before every call, so that a test can choose the order of calls. */
  readonly turn: (label: string) => Promise<void>;
}

const count = (map: Map<string, number>, key: string): void =>
  void map.set(key, (map.get(key) ?? 0) + 1);

const reading: readonly (keyof Files)[] = [
  ...(['read', 'head', 'list', 'held', 'space'] as const),
  ...(['stat', 'statsIn'] as const),
];

/** The Files port of one server, with its faults and counts. */
export function portFiles(behind: Behind, now: FilesNow): Files {
  const call =
    <A extends unknown[], T>(method: keyof Files, act: (path: string, ...args: A) => T) =>
    async (path: string, ...args: A): Promise<T> => {
      for (const counts of behind.counts) {
        count(counts.files, method);
        if (['createDurable', 'overwrite'].includes(method) || method === 'syncDirectory')
          counts.fsyncs += 1;
      }
      return behind.faults.through(
        () => behind.turn(`files.${method} ${path}`),
        () => act(path, ...args),
        { reads: reading.includes(method) },
      );
    };
  return {
    read: call('read', now.read),
    head: call('head', now.head),
    createDurable: call('createDurable', now.createDurable),
    overwrite: call('overwrite', now.overwrite),
    createSparse: call('createSparse', now.createSparse),
    grow: call('grow', now.grow),
    copyRange: async (from, to, range, may) => {
      await may();
      await call('copyRange', now.copyRange)(from, to, range);
    },
    writeZeros: async (path, range, may) => {
      await may();
      await call('writeZeros', now.writeZeros)(path, range);
    },
    link: call('link', now.link),
    rename: call('rename', now.rename),
    unlink: call('unlink', now.unlink),
    makeDirectory: call('makeDirectory', now.makeDirectory),
    removeDirectory: call('removeDirectory', now.removeDirectory),
    list: call('list', now.list),
    stat: call('stat', now.stat),
    statsIn: call('statsIn', now.statsIn),
    held: call('held', now.held),
    chmod: call('chmod', now.chmod),
    touch: call('touch', now.touch),
    syncDirectory: call('syncDirectory', now.syncDirectory),
    space: call('space', now.space),
  };
}

/** The Run port of one server, with its faults and counts. It runs mm commands only. */
export function portRun(behind: Behind): Run {
  return async (argv, kind, options = {}) => {
    const name = basename(argv[0]);
    for (const counts of behind.counts) {
      count(counts.commands, name === 'mmclone' ? `${name} ${argv[1] ?? ''}` : name);
    }
    const ending = behind.faults
      .through(
        () => behind.turn(`run ${argv.join(' ')}`),
        () => perform(behind, argv, kind, options),
        { reads: kind === 'read' },
      )
      .catch((error: unknown) => {
        throw asCommandFailure(error, argv);
      });
    const outcome = await (kind === 'write' ? ending : unlessStopped(ending, options, argv));
    if (outcome.exitCode !== 0) throw new CommandFailed({ argv, ...outcome });
    return outcome.stdout;
  };
}

/** Rejects when the signal fires first, as when the host kills a read: the command then has no effect. */
async function unlessStopped(
  ending: Promise<CommandOutcome>,
  { signal }: RunOptions,
  argv: readonly string[],
): Promise<CommandOutcome> {
  if (!signal) return ending;
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => {
    reject(killed(argv));
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  ending.catch(() => undefined);
  return Promise.race([ending, promise]).finally(() => {
    signal.removeEventListener('abort', stop);
  });
}

const killed = (argv: readonly string[]): CommandFailed =>
  new CommandFailed({ argv, exitCode: undefined, stdout: '', stderr: '', aborted: true });

// A command reports a planned errno as an exit status and a line of text.
function asCommandFailure(error: unknown, argv: readonly string[]): unknown {
  if (error instanceof CommandFailed || !(error instanceof Error) || !('code' in error)) {
    return error;
  }
  const stderr = `${basename(argv[0] ?? '')}: Input/output error\n`;
  return new CommandFailed({ argv, exitCode: 1, stdout: '', stderr, cause: error });
}

async function perform(
  behind: Behind,
  argv: readonly [string, ...string[]],
  kind: RunKind,
  { signal, timeoutMs }: RunOptions,
): Promise<CommandOutcome> {
  const { ground } = behind;
  const name = basename(argv[0]);
  const stop = kind === 'write' ? undefined : signal;
  // As on a host: only a read has a time limit. A write waits until its command ends.
  const limit = kind === 'read' ? (timeoutMs ?? Infinity) : Infinity;
  if (hangs(ground, name)) {
    await whenLost(behind, stop, limit);
    throw timedOut(argv);
  }
  await takeItsTime(behind, argv, limit);
  if (isKilled(ground, stop)) throw killed(argv);
  return runCommand(ground, name, argv.slice(1)) ?? notFound(name);
}

async function takeItsTime(
  { ground, clock }: Behind,
  argv: readonly string[],
  limit: number,
): Promise<void> {
  const { latencyMs } = ground.personality;
  if (latencyMs > 0) await clock.sleep(Math.min(latencyMs, limit));
  if (latencyMs > limit) throw timedOut(argv);
}

const isKilled = ({ personality }: Ground, stop: AbortSignal | undefined): boolean =>
  stop?.aborted === true && !personality.lateEffects;

const notFound = (name: string): CommandOutcome => ({
  stdout: '',
  stderr: `${name}: command not found\n`,
  exitCode: 127,
});

const timedOut = (argv: readonly string[]): CommandFailed =>
  new CommandFailed({ argv, exitCode: undefined, stdout: '', stderr: '', timedOut: true });

async function whenLost(
  { clock }: Behind,
  signal: AbortSignal | undefined,
  limit: number,
): Promise<void> {
  if (signal?.aborted) return;
  if (limit !== Infinity) return clock.sleep(limit);
  await new Promise<void>((resolve) => {
    signal?.addEventListener('abort', () => {
      resolve();
    });
  });
}
