import { KiB, type Bytes } from '../model/bytes.ts';
import type { Run, RunOptions } from '../run/run.ts';
import { unreadable } from './failures.ts';
import { cell, parseTable, type TableRow } from './table.ts';

/** What a fileset has used of the blocks it may have. Replicas count each. */
export interface FilesetQuota {
  readonly used: Bytes;
  /** Given to nodes that have not reported yet whether they used it. */
  readonly inDoubt: Bytes;
  readonly limit: Bytes;
}

const TIME_LIMIT_MS = 30_000;
const COLUMNS = ['quotaType', 'name', 'blockUsage', 'blockLimit', 'blockInDoubt'];

/** `mmlsquota -j FILESET -Y DEVICE`; undefined for a fileset without a limit. */
export const mmlsquota =
  (run: Run) =>
  async (
    device: string,
    fileset: string,
    options?: RunOptions,
  ): Promise<FilesetQuota | undefined> => {
    const argv = ['mmlsquota', '-j', fileset, '-Y', device] as const;
    return parseQuota(await run(argv, 'read', { timeoutMs: TIME_LIMIT_MS, ...options }), fileset);
  };

function parseQuota(output: string, fileset: string): FilesetQuota | undefined {
  const row = parseTable('mmlsquota', output, COLUMNS).find(
    (each) => each.get('quotatype') === 'FILESET' && each.get('name') === fileset,
  );
  if (!row) return undefined;
  const limit = kibibytes(row, 'blockLimit');
  if (limit === 0n) return undefined;
  return { used: kibibytes(row, 'blockUsage'), inDoubt: kibibytes(row, 'blockInDoubt'), limit };
}

function kibibytes(row: TableRow, column: string): Bytes {
  const text = cell('mmlsquota', row, column);
  if (!/^\d{1,16}$/.test(text)) throw unreadable('mmlsquota', `${column} ${text}`);
  return BigInt(text) * KiB;
}
