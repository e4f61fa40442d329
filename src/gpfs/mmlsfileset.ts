import { CommandFailed, type Run, type RunOptions } from '../run/run.ts';
import { cell, parseTable, present, type TableRow } from './table.ts';

/** A fileset of a file system. */
export interface Fileset {
  readonly name: string;
  readonly id: string;
  /** Where it is linked; undefined when it is not. */
  readonly path: string | undefined;
  /** The mode of active file management, whose caches may drop or replace files behind our back. */
  readonly afm: string | undefined;
}

const TIME_LIMIT_MS = 30_000;
const COLUMNS = ['filesetName', 'id', 'status', 'path'];

/** `mmlsfileset DEVICE NAME -Y`; undefined when the file system has no such fileset. */
export const mmlsfileset =
  (run: Run) =>
  async (device: string, name: string, options?: RunOptions): Promise<Fileset | undefined> => {
    const argv = ['mmlsfileset', device, name, '-Y'] as const;
    try {
      const filesets = parseFilesets(
        await run(argv, 'read', { timeoutMs: TIME_LIMIT_MS, ...options }),
      );
      return filesets.find((fileset) => fileset.name === name);
    } catch (error) {
      if (isMissing(error, name)) return undefined;
      throw error;
    }
  };

/** Every fileset in a table. */
export const parseFilesets = (output: string): readonly Fileset[] =>
  parseTable('mmlsfileset', output, COLUMNS).map((row) => ({
    name: cell('mmlsfileset', row, 'filesetName'),
    id: cell('mmlsfileset', row, 'id'),
    path: row.get('status') === 'Linked' ? present(row.get('path')) : undefined,
    afm: afmMode(row),
  }));

function afmMode(row: TableRow): string | undefined {
  const mode = present(row.get('filesetmode'));
  const target = present(row.get('afmtarget'));
  return mode === undefined || mode === 'off' ? target && 'unknown mode' : mode;
}

// The exit status is 2 or 22, depending on the release; other failures have those too.
function isMissing(error: unknown, name: string): boolean {
  const failure = error instanceof Error ? error.cause : undefined;
  return (
    failure instanceof CommandFailed &&
    failure.stderr.toLowerCase().includes(`fileset named ${name.toLowerCase()} does not exist`)
  );
}
