import type { Metrics } from '../observe/metrics.ts';
import type { AccountKeeper, RootReport } from './accounts.ts';

/**
 * Shows accounts as metrics, one series a root: a label for each volume would make as many series as there
 * are volumes. Nothing is counted when somebody asks.
 */
export function showAccounts(metrics: Metrics, accounts: AccountKeeper): void {
  const show = (name: string, help: string, value: (of: RootReport) => number | bigint) => {
    metrics.gauges(`gpfs_csi_${name}`, help, () =>
      accounts.latest().map((report) => ({
        labels: { root: report.path },
        value: Number(value(report)),
      })),
    );
  };
  show('clone_depth', 'Clone parents above the deepest file.', ({ accounts: of }) => of.deepest);
  show(
    'hidden_parents',
    'Files kept only because others read through them.',
    ({ accounts: of }) => {
      return of.files.tombstone + of.files['hidden parent'];
    },
  );
  show('reclaimable_bytes', 'What those files hold.', ({ accounts: of }) => of.dead);
  show('volume_logical_bytes', 'Sizes of all volumes.', ({ accounts: of }) => of.logical);
  show(
    'volume_exclusive_bytes',
    'What volumes hold themselves.',
    ({ accounts: of }) => of.exclusive,
  );
  show('volume_shared_bytes', 'What volumes read through parents, at most.', ({ accounts: of }) => {
    return of.shared;
  });
  show('fs_size_bytes', 'Size of the file system or fileset.', ({ space }) => space.total);
  show('fs_free_bytes', 'What of it is available.', ({ space }) => space.available);
  metrics.gauges('gpfs_csi_clone_tree_nodes', 'Data files, by kind.', () =>
    accounts
      .latest()
      .flatMap(({ path, accounts: { files } }) =>
        Object.entries(files).map(([kind, value]) => ({ labels: { root: path, kind }, value })),
      ),
  );
}
