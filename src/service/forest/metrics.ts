import type { Metrics, Series } from '../../observe/metrics.ts';
import type { AccountKeeper, RootReport } from './accounts.ts';
import type { VolumeFigures } from './tally.ts';
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
  ['gpfs_csi_volume_largest_bytes', 'Size of the largest volume.', (of) => of.accounts.largest],
  [
    'gpfs_csi_overcommit_ratio',
    'Sizes of all volumes, divided by the size of the file system or fileset.',
    ({ accounts, space }) =>
      space.total === 0n ? 0 : Number(accounts.logical) / Number(space.total),
  ],
  ['gpfs_csi_quarantine_files', 'Files that a repair set aside.', (of) => of.quarantine.files],
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
  for (const [name, help, series] of kinds)
    metrics.gauges(name, help, () =>
      accounts.latest().flatMap((report) =>
        series(report).map(({ labels, value }) => ({
          labels: { root: report.path, ...labels },
          value,
        })),
      ),
    );
}

/** Metrics with several series for a root: to add one, add a line. What distinguishes series is few and bounded. */
const kinds: readonly (readonly [
  name: string,
  help: string,
  series: (of: RootReport) => readonly Series[],
])[] = [
  [
    'gpfs_csi_findings',
    'What records show to be wrong, by kind; gpfs-csi doctor says more.',
    ({ flaws, unreadable }) =>
      [...flaws, ['unreadable record', unreadable] as const].map(([kind, value]) => ({
        labels: { kind },
        value,
      })),
  ],
  [
    'gpfs_csi_operations_begun',
    'Operations that have begun and not ended, by operation and by the state of their server.',
    ({ begun }) => begun.map(({ op, server, count }) => ({ labels: { op, server }, value: count })),
  ],
  [
    'gpfs_csi_quarantine_pinning_files',
    'Files that a repair set aside and that keep clone parents; gpfs-csi doctor names them.',
    ({ quarantine: { pinning } }) =>
      pinning === undefined ? [] : [{ labels: {}, value: pinning }],
  ],
];

/** Figures of single volumes; there are none unless the administrator wants them. */
const figures: readonly (readonly [
  name: string,
  help: string,
  value: (of: VolumeFigures) => number | bigint,
])[] = [
  ['gpfs_csi_pv_size_bytes', 'Size of a volume.', (of) => of.bytes],
  ['gpfs_csi_pv_exclusive_bytes', 'What a volume holds itself.', (of) => of.own],
  ['gpfs_csi_pv_shared_bytes', 'What it reads through parents, at most.', (of) => of.shared],
  ['gpfs_csi_pv_clone_depth', 'Clone parents above a volume.', (of) => of.depth],
];

/**
 * Registers the figures of single volumes. The labels are not called `namespace` and `pod`, as Prometheus gives each
 * target such labels and would rename ours.
 */
export function registerVolumeMetrics(metrics: Metrics, accounts: AccountKeeper): void {
  for (const [name, help, value] of figures)
    metrics.gauges(name, help, () =>
      accounts.latest().flatMap(({ path, volumes }) =>
        volumes.map((each) => ({
          labels: {
            root: path,
            volume: each.name,
            claim_namespace: each.kubernetes?.namespace ?? '',
            claim: each.kubernetes?.name ?? '',
          },
          value: Number(value(each)),
        })),
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
  metrics.gauges(
    'gpfs_csi_flatten_queue_oldest_seconds',
    'How long this server has seen the oldest announced item that nobody began.',
    () =>
      [...worker.lengths()].map(([root, { oldestMs }]) => ({
        labels: { root },
        value: oldestMs / 1000,
      })),
  );
}
