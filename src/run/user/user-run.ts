import { execa } from 'execa';
import { errnoOf } from '../files.ts';

/** What a program that a person has installed printed, and how it ended. */
export interface UserOutput {
  /** Undefined where a signal ended it. */
  readonly status: number | undefined;
  readonly out: Buffer;
  readonly err: string;
  /** It printed more than was wanted, or ran longer; the rest is not here. */
  readonly cut: 'size' | 'time' | undefined;
}

/** How far such a program may go. */
export interface UserLimits {
  readonly mostBytes: number;
  readonly limitMs: number;
}

/** Runs one program of the person who started this one: found on their PATH, with their environment, and no shell. */
export type UserRun = (
  argv: readonly [string, ...string[]],
  limits: UserLimits,
) => Promise<UserOutput>;

const keptComplaint = 64 * 1024;

/** A UserRun with this environment. Throws ENOENT where there is no such program; any other end is an answer. */
export const userRun =
  (env: Readonly<Record<string, string | undefined>>): UserRun =>
  async ([program, ...args], { mostBytes, limitMs }) => {
    const child = execa(program, args, {
      env: { ...env },
      extendEnv: false,
      stdio: ['ignore', 'pipe', 'pipe'],
      buffer: false,
      reject: false,
      timeout: limitMs,
      forceKillAfterDelay: 2000,
    });
    const kept = { out: [] as Buffer[], size: 0, err: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      kept.size += chunk.length;
      if (kept.size <= mostBytes) kept.out.push(chunk);
      else child.kill();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (kept.err.length < keptComplaint) kept.err += chunk.toString();
    });
    const { exitCode, timedOut, cause } = await child;
    if (errnoOf(cause) === 'ENOENT') throw cause as Error;
    return {
      status: exitCode,
      out: Buffer.concat(kept.out),
      err: kept.err,
      cut: kept.size > mostBytes ? 'size' : timedOut ? 'time' : undefined,
    };
  };
