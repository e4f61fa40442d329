import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** The checkout. */
export const checkout = join(import.meta.dirname, '..', '..', '..');

/** What is kept between runs: programs, images, the folders of buildah. */
export const cache = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'gpfs-csi',
  'k8s',
);

/** All state of the cluster; gone after a run. */
export const runFolder = join(process.env['GPFS_CSI_E2E_DIR'] ?? join(tmpdir(), 'gpfs-csi-e2e'));

/** Where the simulated GPFS is; its file system is mounted in the folder fs1 of it. */
export const gpfsFolder = '/gpfs-csi-e2e';

/** The folder of the driver's volumes. */
export const rootFolder = `${gpfsFolder}/fs1/csi-data/csi`;

/** An installation of the chart. */
export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly driver: string;
}

/** The one that nearly all cases work with. */
export const release: Release = {
  name: 'gpfs-csi',
  namespace: 'gpfs-csi',
  driver: 'gpfs-clone.csi',
};

/** The image that is tested, and one of an earlier day, for an upgrade. */
export const driverImage = { repository: 'localhost/gpfs-csi', tag: 'e2e', olderTag: 'e2e-older' };

/** What pods of the tests run. */
export const podImage = 'localhost/busybox:1';
