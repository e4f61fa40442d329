import type { Gpfs } from '../../gpfs/commands.ts';
import { DriverError, isFault } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import { CommandFailed } from '../../run/run.ts';

/** Why this node can serve no volume until an administrator sets it up; undefined also while GPFS is only down. */
export async function whyNotOnThisNode(
  gpfs: Pick<Gpfs, 'state'>,
  mmDirectory: string,
): Promise<string | undefined> {
  try {
    await gpfs.state();
    return undefined;
  } catch (error) {
    if (!(error instanceof DriverError) || !isFault(error, 'misconfigured')) return undefined;
    return isMissing(error.cause)
      ? `GPFS is not installed on this node: there is no ${mmDirectory}/mmgetstate; install it, set --mm-dir, or keep the driver off this node`
      : error.message;
  }
}

// nsenter exits with 127 for a program that is missing.
const isMissing = (cause: unknown): boolean =>
  cause instanceof CommandFailed && (cause.exitCode === 127 || errnoOf(cause.cause) === 'ENOENT');
