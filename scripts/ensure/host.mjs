import { existsSync } from 'node:fs';
import { installPackages } from './apt.mjs';
import { ask, findProgram, Refusal } from './run.mjs';

// Debian and Ubuntu keep losetup and mount apart from the rest of util-linux.
const packages = {
  mount: ['losetup', 'mount', 'umount'],
  'util-linux': [
    ...['blkid', 'findmnt', 'fsfreeze', 'fstrim', 'nsenter', 'prlimit', 'setpriv', 'unshare'],
  ],
  e2fsprogs: ['mkfs.ext4', 'e2fsck', 'resize2fs', 'tune2fs'],
  'qemu-utils': ['qemu-img'],
  xfsprogs: ['mkfs.xfs', 'xfs_growfs', 'xfs_io'],
  'btrfs-progs': ['mkfs.btrfs', 'btrfs'],
};

/** Installs the programs of the host that are missing, and checks that the kernel has loop devices. */
export async function ensureHostTools(task) {
  if (task === 'bench-node') packages.fio = ['fio'];
  // The page of `gpfs-csi report` is tried in a browser.
  if (task === 'test' || task === 'ready') packages.chromium = ['chromium'];
  const wanted = missingPackages();
  if (wanted.length > 0) await installPackages(wanted, 'programs of the host');
  const still = missingPackages();
  if (still.length > 0) {
    throw new Refusal(`programs of ${still.join(' ')} are missing after their installation`);
  }
  if (existsSync('/dev/loop-control')) return;
  ask('modprobe', ['loop']);
  if (!existsSync('/dev/loop-control')) {
    throw new Refusal(
      'this kernel offers no loop devices (/dev/loop-control is missing): load the module loop, or give the container /dev',
    );
  }
}

const missingPackages = () =>
  Object.keys(packages).filter((name) =>
    packages[name].some((program) => findProgram(program) === undefined),
  );
