import type { Run, RunOptions } from '../run/run.ts';
import { unreadable } from './failures.ts';

/** How many copies GPFS keeps of a file's data or metadata, and how many it could. */
interface Replication {
  readonly copies: number;
  readonly most: number;
}

/** Where and how GPFS keeps a file or directory. */
export interface ListedAttributes {
  readonly fileset: string;
  readonly pool: string;
  readonly data: Replication;
  readonly metadata: Replication;
}

const TIME_LIMIT_MS = 10_000;

/** `mmlsattr -L PATH`. It fails on anything that is not on a mounted GPFS. */
export const mmlsattr =
  (run: Run) =>
  async (path: string, options?: RunOptions): Promise<ListedAttributes> =>
    parseAttributes(
      await run(['mmlsattr', '-L', path], 'read', { timeoutMs: TIME_LIMIT_MS, ...options }),
    );

/** The labelled lines of one file. */
export function parseAttributes(output: string): ListedAttributes {
  const values = new Map<string, string>();
  for (const line of output.split('\n')) {
    // The first colon: a creation time has more of them.
    const colon = line.indexOf(':');
    const label = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (colon > 0 && !values.has(label)) values.set(label, line.slice(colon + 1).trim());
  }
  // The whole rest of the line, because fileset names may hold a `-`.
  const value = (label: string): string => {
    const found = values.get(label);
    if (found === undefined || found === '') throw unreadable('mmlsattr', output);
    return found;
  };
  return {
    fileset: value('fileset name'),
    pool: value('storage pool name'),
    data: replication(value('data replication')),
    metadata: replication(value('metadata replication')),
  };
}

function replication(text: string): Replication {
  const found = /^(\d{1,2}) max (\d{1,2})$/.exec(text);
  if (!found) throw unreadable('mmlsattr', text);
  return { copies: Number(found[1]), most: Number(found[2]) };
}
