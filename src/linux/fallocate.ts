import { DriverError } from '../model/fault.ts';
import type { Range } from '../run/files.ts';
import { CommandFailed, type Run } from '../run/run.ts';

/** Allocates blocks for a part of a file and keeps its data; resolves to false where that is not possible. */
export type Allocate = (path: string, range: Range) => Promise<boolean>;

/** Runs `fallocate`, since node:fs has no such call. Repeating it does no harm. */
export const fallocate =
  (run: Run): Allocate =>
  async (path, { offset, length }) => {
    const argv = ['fallocate', '--offset', String(offset), '--length', String(length), '--', path];
    try {
      await run(argv as [string, ...string[]], 'write', { isAnswer: isUnable });
      return true;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      if (isUnable(error)) return false;
      throw refused(error);
    }
  };

const cannot = /operation not supported|not installed|no program at/i;

const isUnable = ({ stderr, exitCode }: CommandFailed): boolean =>
  cannot.test(stderr) || exitCode === undefined;

function refused(failure: CommandFailed): DriverError {
  const full = /no space left|quota exceeded/i.test(failure.stderr);
  return full
    ? new DriverError(
        'no-space',
        'the file system, pool or quota has no room for all blocks of a thick volume; ask for less, or for a thin one',
        failure,
      )
    : new DriverError(
        'command-failed',
        'fallocate failed on the image of a thick volume; the log of this node has its words',
        failure,
      );
}
