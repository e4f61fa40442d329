import type { FileHandle } from 'node:fs/promises';
import { DriverError } from '../model/fault.ts';

/**
 * Whether the command may be killed. A write is never killed, because a killed one does not say how far it
 * went. What is interruptible may take hours, and can be run again after it was stopped.
 */
export type RunKind = 'read' | 'write' | 'interruptible';

export interface RunOptions {
  /** Ends a read when the request ends, and what is interruptible when it must stop. Ignored for a write. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which a read is killed and fails with `timedOut`. Ignored for other kinds. */
  readonly timeoutMs?: number | undefined;
  /** Open files that the command inherits; `inheritedPath` gives their names. */
  readonly files?: readonly Pick<FileHandle, 'fd'>[] | undefined;
  /** The block device that is one of the arguments. A confined program gets it as a descriptor, and no other one. */
  readonly device?: string | undefined;
  /** `all`: a confined program keeps the rights of root, because it needs them for this one command. */
  readonly rights?: 'all' | undefined;
  /** Less processor time than a confined program has otherwise. */
  readonly cpuSeconds?: number | undefined;
  /** True for a failure that is an answer to the caller: it is thrown too, but logged without a warning. */
  readonly isAnswer?: (failure: CommandFailed) => boolean;
}

/** The number of the first descriptor of `files` in the command; 3 is the lifeline. */
const firstInherited = 4;

/** The path by which a command opens the file with this index in `files`, whatever has the file's name by then. */
export const inheritedPath = (index: number): string => `/proc/self/fd/${firstInherited + index}`;

/**
 * Starts one program with an argument array (no shell) and resolves to its standard output.
 * Rejects with CommandFailed when it exits with another status than 0, cannot be started, or is killed.
 */
export type Run = (
  argv: readonly [string, ...string[]],
  kind: RunKind,
  options?: RunOptions,
) => Promise<string>;

/** A command that did not end with status 0. Its output is for the log, never for the caller. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly argv: readonly string[];
  /** Undefined when it was killed or never started. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** The request that needed the answer ended first. */
  readonly aborted: boolean;
  /** The limit that ended it, or the program that is missing, in words for the caller: nothing of its output. */
  readonly hint: string | undefined;

  constructor(what: {
    readonly argv: readonly string[];
    readonly exitCode: number | undefined;
    readonly stdout: string;
    readonly stderr: string;
    readonly timedOut?: boolean;
    readonly aborted?: boolean;
    readonly hint?: string | undefined;
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
    this.hint = what.hint;
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
    throw error instanceof CommandFailed
      ? new DriverError('command-failed', withHint(what, error), error)
      : error;
  }
}

/** The sentence, and the limit that the command met, where it met one. */
export const withHint = (what: string, { hint }: CommandFailed): string =>
  hint === undefined ? what : `${what}: ${hint}`;
