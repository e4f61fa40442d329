import { DriverError, isFault } from '../../model/fault.ts';
import type { Bytes } from '../../model/bytes.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import type { FileSystem } from '../../gpfs/mmlsfs.ts';
import { knowsClones, showRelease, type Release } from '../../gpfs/release.ts';
import { errnoOf, type Files } from '../../run/files.ts';
import { mountOf, type Mount, type Mounts } from '../../run/mounts.ts';

/** What was found out about a root that can be used. */
interface RootFacts {
  readonly root: string;
  readonly clusterId: string;
  /** Device of the file system, without `/dev/`. */
  readonly fileSystem: string;
  readonly fileset: string;
  /** Unit of copy on write. */
  readonly blockSize: Bytes;
  /** Format of the file system. */
  readonly release: Release;
  /** All that the file system says of itself. */
  readonly about: FileSystem;
}

/** Whether a root can be used now, perhaps later without anybody doing something to the driver, or not at all. */
export type StartupResult =
  | { readonly kind: 'ready'; readonly facts: RootFacts }
  | { readonly kind: 'starting'; readonly reason: string }
  | { readonly kind: 'impossible'; readonly reason: string };

/** What the checks stand on and look for. */
export interface StartupHost {
  readonly gpfs: Gpfs;
  readonly files: Files;
  readonly mounts: Mounts;
  readonly mountType: string;
  /** Pool of volumes whose class names none. */
  readonly pool: string | undefined;
}

/** Checks each root, in their order. A failure is one sentence that says what to do. */
export const startupChecks = (
  host: StartupHost,
  roots: readonly string[],
): Promise<readonly StartupResult[]> => Promise.all(roots.map((root) => checkRoot(host, root)));

/** Checks one root. Never throws for what GPFS or the machine answers. */
export async function checkRoot(host: StartupHost, root: string): Promise<StartupResult> {
  try {
    return { kind: 'ready', facts: await factsOf(host, root) };
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    // What may pass by itself, or when somebody starts GPFS; anything else asks for another configuration.
    const passing = isFault(error, 'unavailable', 'busy', 'command-failed');
    return { kind: passing ? 'starting' : 'impossible', reason: error.message };
  }
}

async function factsOf(host: StartupHost, root: string): Promise<RootFacts> {
  const { gpfs } = host;
  if (!root.startsWith('/'))
    throw impossible(`root ${root} is not an absolute path; write it from /`);
  await requireActive(gpfs);
  const mount = await requireMount(host, root);
  await requireDirectory(host.files, root);
  const [{ clusterId, minRelease }, about] = await Promise.all([
    gpfs.config(),
    gpfs.fs(mount.source),
  ]);
  const { name: fileSystem, version, blockSize } = about;
  requireClones(fileSystem, minRelease, version);
  const fileset = await requireOneFileset(host, root);
  await requireNoAfm(gpfs, fileSystem, fileset);
  await requirePool(host, fileSystem);
  return { root, clusterId, fileSystem, fileset, blockSize, release: version, about };
}

/** GPFS runs on this node. Throws unavailable saying what to do. */
export async function requireActive(gpfs: Gpfs): Promise<void> {
  const state = await gpfs.state();
  switch (state) {
    case 'active':
      return;
    case 'arbitrating':
      throw later('GPFS on this node waits for a quorum; start GPFS on more quorum nodes');
    case 'down':
      throw later('GPFS is down on this node; start it with mmstartup');
    case 'unknown':
      throw later('the state of GPFS on this node is unknown; see mmgetstate -a');
  }
}

/** The mount that a root lies on, of the right type. Throws unavailable. */
export async function requireMount(
  host: Pick<StartupHost, 'mounts' | 'mountType'>,
  root: string,
): Promise<Mount> {
  const mount = mountOf(await host.mounts(), root);
  if (mount?.type === host.mountType) return mount;
  const found = mount ? `${mount.point} of type ${mount.type}` : 'no mount';
  throw later(
    `root ${root} is on ${found} and not on a mounted ${host.mountType} file system; mount it with mmmount, or choose another root`,
  );
}

/** The root is a directory, and no link to one. Throws misconfigured. */
export async function requireDirectory(files: Files, root: string): Promise<void> {
  const kind = await files.stat(root).then(
    (stat) => stat.kind,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw later(`root ${root} cannot be looked at; see mmgetstate and mmlsmount`, error);
    },
  );
  if (kind === 'directory') return;
  if (kind === undefined) throw impossible(`root ${root} does not exist; create the directory`);
  const what = kind === 'symlink' ? 'a symbolic link; name what it points to' : `a ${kind} file`;
  throw impossible(`root ${root} is not a directory but ${what}`);
}

/** File clones exist. Both are asked, because a cluster that still allows old daemons can use a new file system. */
export function requireClones(fileSystem: string, cluster: Release, version: Release): void {
  if (!knowsClones(cluster)) {
    throw impossible(
      `the cluster is at release level ${showRelease(cluster)}, and file clones need 3.4 (12.00); raise it with mmchconfig release=LATEST`,
    );
  }
  if (!knowsClones(version)) {
    throw impossible(
      `file system ${fileSystem} is at format ${showRelease(version)}, and file clones need 12.00; raise it with mmchfs ${fileSystem} -V full`,
    );
  }
}

/** The fileset of the root, which must be that of the driver's directories in it as well. */
export async function requireOneFileset(
  { gpfs, files }: Pick<StartupHost, 'gpfs' | 'files'>,
  root: string,
): Promise<string> {
  const { fileset } = await gpfs.attributes(root);
  await Promise.all(
    ownDirectories.map(async (name) => {
      const path = `${root}/${name}`;
      if (!(await exists(files, path))) return;
      const other = await gpfs.attributes(path);
      if (other.fileset === fileset) return;
      throw impossible(
        `root ${root} is in fileset ${fileset} but ${path} is in ${other.fileset}; clones stay inside one fileset, so unlink that one or choose another root`,
      );
    }),
  );
  return fileset;
}

const exists = (files: Files, path: string): Promise<boolean> =>
  files.stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw later(`${path} cannot be looked at; see mmgetstate and mmlsmount`, error);
    },
  );

// Any of them may be the junction of another fileset.
const ownDirectories: readonly string[] = ['.gpfs-csi', 'volumes', 'snapshots', 'hidden'];

/** No AFM changes files of this fileset on its own. Throws misconfigured. */
export async function requireNoAfm(gpfs: Gpfs, fileSystem: string, name: string): Promise<void> {
  const fileset = await gpfs.fileset(fileSystem, name);
  if (fileset?.afm === undefined) return;
  throw impossible(
    `fileset ${name} of ${fileSystem} is managed by AFM (${fileset.afm}), which replaces files on its own; choose a root in another fileset`,
  );
}

async function requirePool({ gpfs, pool }: StartupHost, fileSystem: string): Promise<void> {
  if (pool === undefined) return;
  const names = (await gpfs.pools(fileSystem)).map(({ name }) => name);
  if (names.includes(pool)) return;
  throw impossible(
    `file system ${fileSystem} has no storage pool ${pool}; it has ${names.join(', ')}: choose one of these`,
  );
}

const later = (message: string, cause?: unknown): DriverError =>
  new DriverError('unavailable', message, cause);
const impossible = (message: string): DriverError => new DriverError('misconfigured', message);
