import type { Metrics } from '../../observe/metrics.ts';
import type { AccountKeeper, RootReport } from './accounts.ts';
import type { Worker } from '../compaction/worker.ts';

/** Metrics of a root: to add one, add a line to `gauges`; model/forest/accounts.ts says what is counted. */
type Gauge = readonly [name: string, help: string, value: (of: RootReport) => number | bigint];

const gauges: readonly Gauge[] = [
  ['gpfs_csi_clone_depth', 'Clone parents above the deepest file.', (of) => of.accounts.deepest],
  [
    'gpfs_csi_hidden_parents',
    'Files kept only because others read through them.',
    ({ accounts: { files } }) => files.tombstone + files['hidden parent'],
  ],
  ['gpfs_csi_reclaimable_bytes', 'What those files hold.', (of) => of.accounts.dead],
  ['gpfs_csi_volume_logical_bytes', 'Sizes of all volumes.', (of) => of.accounts.logical],
  [
    'gpfs_csi_volume_exclusive_bytes',
    'What volumes hold themselves.',
    (of) => of.accounts.exclusive,
  ],
  [
    'gpfs_csi_volume_shared_bytes',
    'What volumes read through clone parents, at most.',
    (of) => of.accounts.shared,
  ],
  [
    'gpfs_csi_unreadable_records',
    'Records that cannot be read; gpfs-csi doctor names them.',
    (of) => of.unreadable,
  ],
  ['gpfs_csi_fs_size_bytes', 'Size of the file system or fileset.', (of) => of.space.total],
  ['gpfs_csi_fs_free_bytes', 'What of it is available.', (of) => of.space.available],
];

/**
 * Registers the accounts as metrics, one series a root: a label for each volume would make as many series as there
 * are volumes. A scrape counts nothing: it reads the last count.
 */
export function registerAccountMetrics(metrics: Metrics, accounts: AccountKeeper): void {
  for (const [name, help, value] of gauges)
    metrics.gauges(name, help, () =>
      accounts.latest().map((report) => ({
        labels: { root: report.path },
        value: Number(value(report)),
      })),
    );
  metrics.gauges('gpfs_csi_clone_tree_nodes', 'Data files, by kind.', () =>
    accounts
      .latest()
      .flatMap(({ path, accounts: { files } }) =>
        Object.entries(files).map(([kind, value]) => ({ labels: { root: path, kind }, value })),
      ),
  );
}

/** Registers how much work on clone trees is left, as of this server's last round. */
export function registerQueueMetrics(metrics: Metrics, worker: Worker): void {
  metrics.gauges('gpfs_csi_flatten_queue_length', 'Work on clone trees, by state.', () =>
    [...worker.lengths()].flatMap(([root, { ready, waiting }]) => [
      { labels: { root, state: 'ready' }, value: ready },
      { labels: { root, state: 'waiting' }, value: waiting },
    ]),
  );
}
