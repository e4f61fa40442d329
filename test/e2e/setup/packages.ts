import { access, constants } from 'node:fs/promises';
import { sh } from './shell.ts';

const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/lib/cni'];

/** Debian's packages, each with a program by which it is known to be there. */
const packages: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  'etcd-server': 'etcd',
  iptables: 'iptables-save',
  iproute2: 'ip',
  conntrack: 'conntrack',
  socat: 'socat',
  ethtool: 'ethtool',
  procps: 'sysctl',
  openssl: 'openssl',
  'containernetworking-plugins': 'bridge',
  'busybox-static': 'busybox',
  buildah: 'buildah',
  debootstrap: 'debootstrap',
};

/** Installs what a cluster needs of Debian and is not there; resolves to the names of what it installed. */
export async function installPackages(): Promise<readonly string[]> {
  const missing = await missingPackages();
  if (missing.length === 0) return [];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-q', '-y', '--no-install-recommends', ...missing];
  await sh(['apt-get', ...install], { env }).catch(async () => {
    await sh(['apt-get', '-q', 'update'], { env });
    await sh(['apt-get', ...install], { env });
  });
  const still = await missingPackages();
  if (still.length > 0) throw new Error(`still missing after apt-get: ${still.join(' ')}`);
  return missing;
}

async function missingPackages(): Promise<readonly string[]> {
  const names = Object.keys(packages);
  const there = await Promise.all(names.map((name) => isThere(packages[name] ?? name)));
  return names.filter((_, n) => there[n] !== true);
}

async function isThere(program: string): Promise<boolean> {
  for (const folder of folders) {
    const found = await access(`${folder}/${program}`, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
