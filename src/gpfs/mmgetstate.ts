import type { Run, RunOptions } from '../run/run.ts';
import { cell, parseTable } from './table.ts';
import { unreadable } from './failures.ts';

/** The GPFS daemon of this node. Only `active` means usable. */
export type DaemonState = 'active' | 'arbitrating' | 'down' | 'unknown';

const TIME_LIMIT_MS = 10_000;

/** `mmgetstate -Y`: the daemon of the node it runs on. */
export const mmgetstate =
  (run: Run) =>
  async (options?: RunOptions): Promise<DaemonState> =>
    parseState(await run(['mmgetstate', '-Y'], 'read', { timeoutMs: TIME_LIMIT_MS, ...options }));

/** The state in the one row of the table. */
export function parseState(output: string): DaemonState {
  const [row] = parseTable('mmgetstate', output, ['state']);
  if (row === undefined) throw unreadable('mmgetstate', output);
  const state = cell('mmgetstate', row, 'state');
  // Newer releases have more words for a daemon that does not answer (`unresponsive`).
  return state === 'active' || state === 'arbitrating' || state === 'down' ? state : 'unknown';
}
