import { spawn } from 'node:child_process';

/** How a program ended, and all that it printed. */
export interface Ended {
  readonly ok: boolean;
  readonly output: string;
}

/** What all stages of one run share. */
export interface Context {
  readonly root: string;
  /** A folder for what the run makes; gone afterwards. */
  readonly scratch: string;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted when the user wants the run to end. */
  readonly signal: AbortSignal;
}

/** A program that takes longer is taken to hang. */
export interface Limits {
  readonly limitMs: number;
  /** Gets output as it is printed. */
  readonly live?: (text: string) => void;
}

type Argv = readonly [program: string, ...args: string[]];

/** Runs a program in a process group of its own, so that nothing of it outlives its time. */
export function complete(
  { root, env, signal }: Context,
  [program, ...args]: Argv,
  { limitMs, live }: Limits,
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const take = (text: string): void => {
    output += text;
    live?.(text);
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', take);
  const stop = (): void => {
    stopGroup(child.pid);
  };
  const limit = setTimeout(() => {
    take(`\n${program} took longer than ${limitMs / 60_000} minutes and is stopped\n`);
    stop();
  }, limitMs);
  signal.addEventListener('abort', stop, { once: true });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      take(`${program} could not be started: ${error.message}\n`);
    });
    child.on('close', (status) => {
      clearTimeout(limit);
      signal.removeEventListener('abort', stop);
      resolve({ ok: status === 0, output });
    });
  });
}

// What holds mounts needs a moment to let go of them.
function stopGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  setTimeout(() => {
    signalGroup(pid, 'SIGKILL');
  }, 30_000).unref();
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}
