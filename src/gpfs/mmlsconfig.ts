import type { Run, RunOptions } from '../run/run.ts';
import { unreadable } from './failures.ts';
import { parseRelease, type Release } from './release.ts';
import { parseTable, present, type TableRow } from './table.ts';

/** What the driver needs to know of the cluster. */
export interface ClusterConfig {
  /** Nineteen digits, more than a number holds. */
  readonly clusterId: string;
  readonly minRelease: Release;
}

const TIME_LIMIT_MS = 10_000;
const COLUMNS = ['configParameter', 'value'];

/** `mmlsconfig -Y`: the whole configuration, because how to ask for two attributes differs between releases. */
export const mmlsconfig =
  (run: Run) =>
  async (options?: RunOptions): Promise<ClusterConfig> =>
    parseConfig(await run(['mmlsconfig', '-Y'], 'read', { timeoutMs: TIME_LIMIT_MS, ...options }));

/** The cluster id and the release level of a configuration. */
export function parseConfig(output: string): ClusterConfig {
  const rows = parseTable('mmlsconfig', output, COLUMNS);
  const clusterId = setting(rows, 'clusterid');
  if (clusterId === undefined || !/^\d{1,20}$/.test(clusterId))
    throw unreadable('mmlsconfig', output);
  const level = setting(rows, 'minreleaselevel') ?? setting(rows, 'minreleaseleveldaemon') ?? '';
  const minRelease = parseRelease(level);
  if (minRelease === undefined) throw unreadable('mmlsconfig', `minReleaseLevel ${level}`);
  return { clusterId, minRelease };
}

// A row with a list of nodes speaks for those nodes only.
function setting(rows: readonly TableRow[], name: string): string | undefined {
  const row = rows.find(
    (each) =>
      each.get('configparameter')?.toLowerCase() === name &&
      present(each.get('nodelist')) === undefined,
  );
  return present(row?.get('value'));
}
