import { existsSync, readdirSync } from 'node:fs';
import { ask, complete, findProgram, Refusal, say } from './run.mjs';

// Debian and Ubuntu keep losetup and mount apart from the rest of util-linux.
const packages = {
  mount: ['losetup', 'mount', 'umount'],
  'util-linux': ['blkid', 'findmnt', 'fsfreeze', 'fstrim', 'nsenter', 'unshare'],
  e2fsprogs: ['mkfs.ext4', 'e2fsck', 'resize2fs'],
  'qemu-utils': ['qemu-img'],
  xfsprogs: ['mkfs.xfs', 'xfs_growfs', 'xfs_io'],
  'btrfs-progs': ['mkfs.btrfs', 'btrfs'],
};

/** Installs the programs of the host that are missing, and checks that the kernel has loop devices. */
export async function ensureHostTools(measuring = false) {
  if (measuring) packages.fio = ['fio'];
  const wanted = missingPackages();
  if (wanted.length > 0) await install(wanted);
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

async function install(names) {
  const list = names.join(' ');
  if (findProgram('apt-get') === undefined) {
    throw new Refusal(
      `programs are missing and there is no apt-get to install them: install ${list}`,
    );
  }
  say(`installing ${list} with apt-get`);
  const first = hasPackageLists() ? await aptInstall(names) : { ok: false };
  if (!first.ok) {
    await apt(['update']);
    const { ok, output } = await aptInstall(names);
    if (!ok) throw new Refusal(`apt-get could not install ${list}:\n${output.trimEnd()}`);
  }
  const still = missingPackages();
  if (still.length > 0) {
    throw new Refusal(`programs of ${still.join(' ')} are missing after their installation`);
  }
}

const aptInstall = (names) => apt(['install', '-y', '--no-install-recommends', ...names]);

const apt = (args) =>
  complete('apt-get', ['-q', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });

function hasPackageLists() {
  const folder = '/var/lib/apt/lists';
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes('_Packages'));
}
