import { DriverError } from '../model/fault.ts';
import { CommandFailed } from '../run/run.ts';

/** What a host command said when it failed, or undefined when the error is of another kind. */
export const complaintOf = (error: unknown): string | undefined =>
  error instanceof CommandFailed ? error.stderr : undefined;

/**
 * Waits for a host command; a failure becomes one sentence of ours. What the command printed stays in
 * the cause, for the log: it may repeat mount flags, which callers may hold secret.
 */
export async function done<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof CommandFailed ? new DriverError('command-failed', what, error) : error;
  }
}
