import type { Gpfs } from '../../gpfs/commands.ts';
import { showRelease } from '../../gpfs/release.ts';
import type { Check } from '../../model/audit/check.ts';
import { confiners } from '../../run/confined/confinements.ts';
import type { Files } from '../../run/files.ts';
import { isReadOnly, type Mounts } from '../../run/mounts.ts';
import type { LocateProgram } from '../../run/programs.ts';
import {
  requireActive,
  requireClones,
  requireDirectory,
  requireMount,
  requireNoAfm,
  requireOneFileset,
} from '../roots/startup.ts';
import { check, inOrder } from './check.ts';

/** What checks of a node and of GPFS need. */
export interface HostChecks {
  readonly gpfs: Gpfs;
  readonly files: Files;
  readonly mounts: Mounts;
  readonly mountType: string;
  /** Finds host tools as the driver does. */
  readonly place: LocateProgram;
}

const tools = [
  'losetup',
  'blkid',
  'blkdiscard',
  'mount',
  'umount',
  'mknod',
  ...confiners,
  'mkfs.ext4',
  'e2fsck',
  'resize2fs',
  'tune2fs',
  'mkfs.xfs',
  'xfs_growfs',
];

/** Checks of this node: GPFS, the tools of the host, loop devices. */
export const checkHost = ({ gpfs, files, place }: HostChecks): Promise<readonly Check[]> =>
  inOrder(
    () =>
      check('daemon', async () => {
        await requireActive(gpfs);
        return 'GPFS is active on this node';
      }),
    () => check('tools', () => missingTools(place)),
    () =>
      check('loop devices', async () => {
        await files.stat('/dev/loop-control');
        return 'the kernel has loop devices';
      }),
  );

async function missingTools(place: LocateProgram) {
  const missing: string[] = [];
  for (const tool of tools) {
    const found = await place([tool]).then(
      () => true,
      () => false,
    );
    if (!found) missing.push(tool);
  }
  if (missing.length === 0) return `${tools.length} host tools are installed`;
  const says = `${missing.join(', ')} not found; install them on this node, or use the driver's image`;
  return { status: 'failed' as const, says };
}

/** Checks of one root from outside: mount, releases, fileset. */
export const checkPlace = (host: HostChecks, root: string): Promise<readonly Check[]> =>
  inOrder(
    () =>
      check('mount', async () => {
        const mounted = () => requireMount(host, root);
        const mount = await mounted();
        await requireDirectory(host.files, root, mounted);
        const { source, type, point } = mount;
        if (isReadOnly(mount))
          return {
            status: 'failed' as const,
            says: `${point} is mounted read-only, so the driver can write nothing in ${root}; mount it for writing (mmumount, then mmmount -o rw)`,
          };
        return `${root} is on ${source}, mounted as ${type}`;
      }),
    () => check('release', () => releases(host, root)),
    () => check('fileset', () => fileset(host, root)),
    () => check('pools', () => pools(host, root)),
  );

const fileSystemOf = async (host: HostChecks, root: string) =>
  host.gpfs.fs((await requireMount(host, root)).source);

async function releases(host: HostChecks, root: string) {
  const { clusterId, minRelease } = await host.gpfs.config();
  const { name, version } = await fileSystemOf(host, root);
  requireClones(name, minRelease, version);
  return `cluster ${clusterId} at ${showRelease(minRelease)}, file system ${name} at ${showRelease(version)}: both know file clones`;
}

async function fileset(host: HostChecks, root: string) {
  const name = await requireOneFileset(host, root);
  await requireNoAfm(host.gpfs, (await fileSystemOf(host, root)).name, name);
  return `the root and its directories are in fileset ${name}, which no AFM manages`;
}

async function pools(host: HostChecks, root: string) {
  const all = await host.gpfs.pools((await fileSystemOf(host, root)).name);
  const data = all.filter(({ space }) => space?.holdsData !== false).map(({ name }) => name);
  if (data.length > 0) return `data goes to ${data.join(', ')}`;
  const says = 'no storage pool takes data; add disks with mmadddisk';
  return { status: 'failed' as const, says };
}
