import { execa } from 'execa';
import { systemPath } from './programs.ts';

/** A process beside the driver that continues when the driver is killed. */
export interface Companion {
  /** Ends the process, which is not needed any more; resolves when it has ended. */
  dismiss(): Promise<void>;
}

const readyMs = 10_000;

/**
 * Starts a companion and waits for its only line, `ready`. To dismiss it, the driver writes `done` to its input.
 * The end of its input alone does not end it, because the input also ends when the driver dies.
 */
export async function startCompanion(argv: readonly [string, ...string[]]): Promise<Companion> {
  const [file, ...args] = argv;
  const child = execa(file, args, {
    detached: true,
    cleanup: false,
    reject: false,
    buffer: false,
    cwd: '/',
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
    env: { LC_ALL: 'C', PATH: systemPath.join(':') },
    extendEnv: false,
  });
  const ended = child.then(() => undefined);
  const dismiss = async (): Promise<void> => {
    child.stdin.end('done\n');
    await ended;
  };
  child.stdin.on('error', () => undefined);
  if (await isReady(child.stdout, ended)) return { dismiss };
  child.stdin.end('done\n');
  throw new Error(`${file} did not get ready in ${readyMs} ms`);
}

async function isReady(output: NodeJS.ReadableStream, ended: Promise<undefined>): Promise<boolean> {
  let text = '';
  const line = Promise.withResolvers<boolean>();
  output.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (text.includes('\n')) line.resolve(text === 'ready\n');
  });
  const late = setTimeout(() => {
    line.resolve(false);
  }, readyMs);
  void ended.then(() => {
    line.resolve(false);
  });
  return line.promise.finally(() => {
    clearTimeout(late);
  });
}
