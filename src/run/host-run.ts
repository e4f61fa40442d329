import { execa } from 'execa';
import { confiner, type Prepared } from './confined/confine.ts';
import { limitMet } from './confined/confinements.ts';
import { errnoOf } from './files.ts';
import { commandPool, type CommandPool } from './limit.ts';
import { isMmCommand, programs, systemPath, type MmRunner } from './programs.ts';
import { CommandFailed, type Run, type RunKind, type RunOptions } from './run.ts';

/** How commands of this machine are found, and their limits. */
export interface HostOptions {
  readonly mmDirectory: string;
  readonly mmRunner?: MmRunner;
  /** Directories of host tools, tried in this order. */
  readonly searchPath?: readonly string[];
  /** Commands at once, counted apart for mm commands and host tools: a GPFS that hangs must not delay an unmount. */
  readonly atOnce?: number;
  /** Commands that may wait for their turn, counted apart too. */
  readonly queue?: number;
  /** Most bytes of standard output; more is an error. */
  readonly maxOutput?: number;
  /** The time limit of a read that names none. */
  readonly readTimeoutMs?: number;
  /**
   * An open descriptor that each command which changes something inherits, as number 3: as long as one runs,
   * some process has it open. Not a read: it changes nothing, and one of GPFS may start a daemon.
   */
  readonly lifeline?: number;
}

type Argv = readonly [string, ...string[]];

/** A program that was started: its answer, and when its slot is free for the next. */
interface Started {
  readonly answer: Promise<string>;
  readonly ended: Promise<void>;
}

const KEPT_STDERR = 64 * 1024;

/** Runs commands on this machine: no shell, own process group, `LC_ALL=C`, nothing else of the driver's environment. */
export function hostRun(options: HostOptions): Run {
  const searchPath = options.searchPath ?? systemPath;
  const mmRunner = options.mmRunner ?? { kind: 'direct' };
  const place = programs({ mmDirectory: options.mmDirectory, mmRunner, searchPath });
  const limits = { atOnce: options.atOnce ?? 6, queue: options.queue ?? 1000 };
  const pools = { mm: commandPool(limits), host: commandPool(limits) };
  const prepare = confiner(place);
  const path = searchPath.join(':');
  const maxOutput = options.maxOutput ?? 1024 * 1024;
  const spawn = async (argv: Argv, kind: RunKind, runOptions: RunOptions, stop?: AbortSignal) => {
    const prepared = await prepare(argv, runOptions);
    try {
      // After the end of a request its files may be closed, and their numbers be those of others.
      stop?.throwIfAborted();
      const lifeline = kind === 'read' ? undefined : options.lifeline;
      return heard(spawnGroup(prepared, path, lifeline), maxOutput);
    } finally {
      await prepared.close();
    }
  };

  return async (argv, kind, runOptions = {}) => {
    const stop = stopSignal(kind, runOptions, options.readTimeoutMs ?? 30_000);
    return inPool(isMmCommand(argv[0]) ? pools.mm : pools.host, argv, stop, () =>
      start(argv, stop, spawn(argv, kind, runOptions, stop)),
    );
  };
}

// A write has no signal: it runs to its end, because a killed one does not say how far it went.
function stopSignal(
  kind: RunKind,
  options: RunOptions,
  readTimeoutMs: number,
): AbortSignal | undefined {
  if (kind === 'write') return undefined;
  if (kind === 'interruptible') return options.signal;
  const limit = AbortSignal.timeout(options.timeoutMs ?? readTimeoutMs);
  return options.signal ? AbortSignal.any([options.signal, limit]) : limit;
}

async function inPool(
  pool: CommandPool,
  argv: Argv,
  stop: AbortSignal | undefined,
  start: () => Started,
): Promise<string> {
  const slot = await pool.acquire(stop).catch((error: unknown) => {
    throw stop?.aborted ? stopped(argv, stop) : notRun(argv, error);
  });
  const { answer, ended } = start();
  // A killed process may stay for long (state D of a hung file system); it keeps its slot until it is gone.
  void ended.then(() => {
    slot.release();
  });
  return answer;
}

function start(argv: Argv, stop: AbortSignal | undefined, spawned: Promise<Child>): Started {
  const running = spawned.catch((error: unknown) => {
    throw notRun(argv, error);
  });
  const result = running.then((child) => collect(child, argv));
  const answer = stop ? Promise.race([result, killedBy(stop, running, argv)]) : result;
  return {
    answer,
    ended: result.then(
      () => undefined,
      () => undefined,
    ),
  };
}

type Child = ReturnType<typeof heard>;

/** Listens to a process from its start on: execa lets flow what nobody reads in the turn that started it. */
const heard = ({ process: started }: ReturnType<typeof spawnGroup>, maxOutput: number) => ({
  process: started,
  stdout: gather(started.stdout, maxOutput),
  stderr: gather(started.stderr, KEPT_STDERR),
  maxOutput,
});

// Scripts of GPFS make files that others read: they must not see how strict the driver is with its own.
const inherited = process.umask(0o077);
process.umask(inherited);

/** Starts a program, which takes over the umask of that moment. */
function withUmask<Result>(start: () => Result): Result {
  const own = process.umask(inherited);
  try {
    return start();
  } finally {
    process.umask(own);
  }
}

// In an object, because execa returns a promise too, and a function that returns it would await it.
const spawnGroup = (prepared: Prepared, path: string, lifeline: number | undefined) => ({
  process: withUmask(() =>
    execa(prepared.command[0], prepared.command.slice(1), {
      // Its own process group: a signal for the driver does not reach it, and a kill reaches all its processes.
      detached: true,
      cleanup: false,
      reject: false,
      buffer: false,
      // The types of execa know descriptors up to 9 only; it hands on any. Number 3 is the lifeline.
      stdio: ['ignore', 'pipe', 'pipe', ...([lifeline ?? 'ignore', ...prepared.files] as 9[])],
      // Never a directory of GPFS, which would be busy until the command ends.
      cwd: '/',
      env: { LC_ALL: 'C', PATH: path },
      extendEnv: false,
    }),
  ),
});

async function collect(child: Child, argv: Argv): Promise<string> {
  const { stdout, stderr, maxOutput } = child;
  const result = await child.process;
  if (child.process.pid === undefined) throw notRun(argv, result.cause);
  const words = `${result.signal ? `it was ended by ${result.signal}\n` : ''}${stderr.text()}`;
  const hint = limitMet(argv[0], result.signal, stderr.text());
  const output = { argv, exitCode: result.exitCode, stdout: stdout.text(), stderr: words, hint };
  if (result.exitCode !== 0) throw new CommandFailed({ ...output, cause: result.cause });
  if (stdout.overflowed()) {
    throw new CommandFailed({ ...output, stderr: `it printed more than ${maxOutput} bytes` });
  }
  return output.stdout;
}

/** Keeps the first bytes of a stream and drains the rest, so that the command never blocks on a full pipe. */
function gather(stream: NodeJS.ReadableStream, most: number) {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    const room = most - Math.min(size, most);
    if (room > 0) chunks.push(chunk.subarray(0, room));
    size += chunk.length;
  });
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    overflowed: () => size > most,
  };
}

/** Kills the whole group when `stop` fires, and rejects at once: a process in state D does not die. */
function killedBy(stop: AbortSignal, running: Promise<Child>, argv: Argv): Promise<never> {
  return new Promise((_, reject) => {
    const kill = (): void => {
      reject(stopped(argv, stop));
      void running.then(killGroup, () => undefined);
    };
    const forget = (): void => {
      stop.removeEventListener('abort', kill);
    };
    void running.then((child) => child.process.then(forget), forget);
    if (stop.aborted) kill();
    else stop.addEventListener('abort', kill, { once: true });
  });
}

function killGroup(child: Child): void {
  if (child.process.pid === undefined) return;
  try {
    process.kill(-child.process.pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended by itself just before.
  }
}

const stopped = (argv: Argv, stop: AbortSignal): CommandFailed => {
  const timedOut = stop.reason instanceof Error && stop.reason.name === 'TimeoutError';
  return new CommandFailed({
    argv,
    exitCode: undefined,
    stdout: '',
    stderr: '',
    timedOut,
    aborted: !timedOut,
    cause: stop.reason,
  });
};

function notRun(argv: Argv, cause: unknown): CommandFailed {
  const stderr = whyNotRun(cause);
  const hint = limitMet(argv[0], undefined, stderr);
  return new CommandFailed({ argv, exitCode: undefined, stdout: '', stderr, hint, cause });
}

function whyNotRun(cause: unknown): string {
  if (!(cause instanceof Error)) return 'it could not be started';
  const path = 'path' in cause && typeof cause.path === 'string' ? cause.path : undefined;
  if (path === undefined) return cause.message;
  const code = errnoOf(cause);
  if (code === 'ENOENT') return `there is no program at ${path}, or none that its first line names`;
  if (code === 'EACCES') return `${path} may not be executed`;
  return cause.message;
}
