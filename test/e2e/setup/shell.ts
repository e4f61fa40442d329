import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A program with its arguments. */
export type Argv = readonly [program: string, ...args: string[]];

/** How a program is run, where the defaults do not do. */
export interface Manner {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Buffer;
  readonly limitMs?: number;
}

/** A program ended with a status other than zero; the message has the end of what it printed. */
class ProgramFailed extends Error {
  override readonly name = 'ProgramFailed';
  readonly stdout: string;
  readonly stderr: string;
  constructor(message: string, stdout: string, stderr: string) {
    super(message);
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** Runs a program to its end and resolves to what it printed. */
export async function sh([program, ...args]: Argv, manner: Manner = {}): Promise<string> {
  const { cwd, env = process.env, input, limitMs = 10 * 60_000 } = manner;
  const options = { cwd, env, timeout: limitMs, maxBuffer: 256 * 2 ** 20 };
  const running = promisify(execFile)(program, args, options);
  // Nobody listens any more when the program ended early, which its status then tells.
  running.child.stdin?.on('error', () => undefined).end(input ?? '');
  try {
    return (await running).stdout;
  } catch (error) {
    throw failure([program, ...args], error);
  }
}

/** As sh, but resolves to undefined when the program fails. */
export const attempt = (argv: Argv, manner: Manner = {}): Promise<string | undefined> =>
  sh(argv, manner).catch(() => undefined);

function failure(argv: readonly string[], error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const {
    stdout = '',
    stderr = '',
    killed,
  } = error as Partial<ProgramFailed> & {
    readonly killed?: boolean;
  };
  const said = (stderr.trim() === '' ? stdout : stderr).trim().split('\n').slice(-20).join('\n');
  const end = killed === true ? 'took too long and was stopped' : 'failed';
  const line = argv.join(' ');
  const shown = line.length > 300 ? `${line.slice(0, 300)}…` : line;
  return new ProgramFailed(`${shown} ${end}: ${said || error.message}`, stdout, stderr);
}
