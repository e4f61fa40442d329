import { DriverError, isFault } from '../../model/fault.ts';
import type { Bytes } from '../../model/bytes.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import type { FileSystem } from '../../gpfs/mmlsfs.ts';
import { knowsClones, showRelease, type Release } from '../../gpfs/release.ts';
import { errnoOf, type Files } from '../../run/files.ts';
import { mountOf, type Mount, type Mounts } from '../../run/mounts.ts';

/** What the checks found about a root that can be used. */
interface RootFacts {
  readonly root: string;
  readonly clusterId: string;
  /** Device of the file system, without `/dev/`. */
  readonly fileSystem: string;
  readonly fileset: string;
  /** Unit of copy on write. */
  readonly blockSize: Bytes;
  /** Format version of the file system. */
  readonly release: Release;
  /** All that mmlsfs reports. */
  readonly about: FileSystem;
}

/** Whether a root can be used: now, later without a change to the driver, or not with this configuration. */
export type StartupResult =
  | { readonly kind: 'ready'; readonly facts: RootFacts }
  | { readonly kind: 'starting'; readonly reason: string }
  | { readonly kind: 'impossible'; readonly reason: string };

/** What the checks need. */
export interface StartupHost {
  readonly gpfs: Gpfs;
  readonly files: Files;
  readonly mounts: Mounts;
  readonly mountType: string;
  /** Storage pool of volumes whose class names none; undefined leaves it to GPFS. */
  readonly pool: string | undefined;
}

/** Checks one root. A failure of GPFS or of the machine is not thrown: it is a result with one sentence that says what to do. */
export async function checkRoot(host: StartupHost, root: string): Promise<StartupResult> {
  try {
    return { kind: 'ready', facts: await factsOf(host, root) };
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    // These may pass, for example when an administrator starts GPFS; any other needs another configuration.
    const passing = isFault(error, ...mayPass);
    return { kind: passing ? 'starting' : 'impossible', reason: error.message };
  }
}

/** What a command says of a path that was unmounted under it is of the last two kinds. */
const mayPass = ['unavailable', 'busy', 'command-failed', 'path-missing', 'wrong-state'] as const;

async function factsOf(host: StartupHost, root: string): Promise<RootFacts> {
  const { gpfs } = host;
  if (!root.startsWith('/'))
    throw impossible(`root ${root} is not an absolute path; write it from /`);
  await requireActive(gpfs);
  const mount = await requireMount(host, root);
  await requireDirectory(host.files, root, () => requireMount(host, root));
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

/** Throws unavailable, saying what to do, unless GPFS runs on this node. */
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

/** The mount that a root lies on. Throws unavailable unless its type is the right one. */
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

/**
 * Throws misconfigured unless the root is a directory; a symbolic link to one is refused. A root that is missing
 * counts only where `mounted` resolves before and after.
 */
export async function requireDirectory(
  files: Files,
  root: string,
  mounted: () => Promise<unknown>,
): Promise<void> {
  const kindOf = () =>
    files.stat(root).then(
      (stat) => stat.kind,
      (error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw later(`root ${root} cannot be looked at; see mmgetstate and mmlsmount`, error);
      },
    );
  const again = async () => {
    await mounted();
    return kindOf();
  };
  const kind = (await kindOf()) ?? (await again());
  if (kind === 'directory') return;
  if (kind === undefined) {
    await mounted();
    throw impossible(`root ${root} does not exist; create the directory`);
  }
  const what = kind === 'symlink' ? 'a symbolic link; name what it points to' : `a ${kind} file`;
  throw impossible(`root ${root} is not a directory but ${what}`);
}

/**
 * Throws misconfigured unless there are file clones. Both levels are checked: a cluster that still allows old
 * daemons can use a new file system.
 */
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

/** The fileset of the root. Throws misconfigured unless the driver's directories in the root are in it too. */
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

/** Throws misconfigured where AFM manages the fileset: it changes files on its own. */
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
