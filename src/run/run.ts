import { DriverError } from '../model/fault.ts';

/**
 * Whether ending the command half way is harmless. Writes are never killed: a killed one does not say how far
 * it went. What is interruptible may take hours and leaves, when it is stopped, something that can be done again.
 */
export type RunKind = 'read' | 'write' | 'interruptible';

export interface RunOptions {
  /** Ends a read when the request ends, and what is interruptible when it is to stop. Ignored for a write. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; a read past it is killed and fails with `timedOut`. Anything else goes on. */
  readonly timeoutMs?: number | undefined;
  /** A failure that tells what the caller wanted to know: not worth a warning in the log. It is thrown all the same. */
  readonly isAnswer?: (failure: CommandFailed) => boolean;
}

/**
 * Starts one program with an argument array (no shell) and resolves to its standard output.
 * Rejects with CommandFailed when it exits with another status than 0, cannot be started, or is killed.
 */
export type Run = (
  argv: readonly [string, ...string[]],
  kind: RunKind,
  options?: RunOptions,
) => Promise<string>;

/** A command that did not end with status 0; its output is kept for the log, never for the caller. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly argv: readonly string[];
  /** Undefined when it was killed or never started. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** The request that wanted the answer ended first. */
  readonly aborted: boolean;

  constructor(what: {
    readonly argv: readonly string[];
    readonly exitCode: number | undefined;
    readonly stdout: string;
    readonly stderr: string;
    readonly timedOut?: boolean;
    readonly aborted?: boolean;
    readonly cause?: unknown;
  }) {
    const firstLine = what.stderr.trim().split('\n')[0] ?? '';
    super(`${what.argv[0] ?? ''} ${howItEnded(what)}${firstLine ? `: ${firstLine}` : ''}`, {
      cause: what.cause,
    });
    this.argv = what.argv;
    this.exitCode = what.exitCode;
    this.stdout = what.stdout;
    this.stderr = what.stderr;
    this.timedOut = what.timedOut ?? false;
    this.aborted = what.aborted ?? false;
  }
}

function howItEnded(what: {
  readonly exitCode: number | undefined;
  readonly timedOut?: boolean;
  readonly aborted?: boolean;
}): string {
  if (what.timedOut) return 'was killed at its time limit';
  if (what.aborted) return 'was killed because the request ended';
  return what.exitCode === undefined
    ? 'did not run to its end'
    : `ended with status ${what.exitCode}`;
}

/** What a host command printed on standard error when it failed, or undefined when the error is of another kind. */
export const complaintOf = (error: unknown): string | undefined =>
  error instanceof CommandFailed ? error.stderr : undefined;

/**
 * Waits for a host command. Its failure becomes a command-failed with this one sentence. What the command printed
 * stays in the cause, for the log: it may repeat mount flags, which callers may keep secret.
 */
export async function explainFailure<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof CommandFailed ? new DriverError('command-failed', what, error) : error;
  }
}
