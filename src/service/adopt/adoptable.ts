import { DriverError } from '../../model/fault.ts';
import type { LocalId } from '../../model/ids.ts';
import type { FileStat } from '../../run/files.ts';
import type { NameIn } from '../../run/named/named.ts';
import { requireOwnHandle } from '../roots/handles.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import type { SectorBytes } from '../../model/sectors.ts';
import type { RootStore } from '../../store/root.ts';
import type { ServiceHost } from '../host.ts';

/** What adopting needs. */
export interface AdoptHost {
  readonly host: ServiceHost;
  readonly store: RootStore;
  readonly gpfs: Gpfs;
  /** The loop device or process of this host that has a file open, in words; undefined where none has. */
  readonly userOf: (file: FileStat, path: string) => Promise<string | undefined>;
  /** The sector size that the disk in a file was made for. */
  readonly sectorBytes: (path: string) => Promise<SectorBytes>;
}

/** A file to adopt, and the id of the record that it gets. */
export interface Candidate {
  readonly id: LocalId;
  readonly name: string;
  readonly file: NameIn;
  readonly stat: FileStat;
}

/** Throws wrong-state for a file that has another name or is open: its user would continue to write to the volume. */
export async function requireAlone(
  { store, userOf }: Pick<AdoptHost, 'store' | 'userOf'>,
  { shown, path }: NameIn,
): Promise<void> {
  const stat = await store.files.stat(path);
  const user = await userOf(stat, shown);
  const why =
    stat.links > 1
      ? `it has ${stat.links} names; remove the others`
      : user && `it is open in ${user}; end that first, here and on other hosts`;
  if (why) throw new DriverError('wrong-state', `${shown} cannot be adopted: ${why}`);
}

/** Throws for a file that cannot become this volume; one that an earlier run adopted can. */
export async function requireFreeVolume(on: AdoptHost, candidate: Candidate): Promise<void> {
  const { id, name, file, stat } = candidate;
  await requireOwnHandle(on.host, on.store, id);
  const held = await on.store.volumes.read(id);
  if (!held) return requireAlone(on, file);
  const { image, state, claim } = held.value;
  if (image?.inode === stat.inode) return;
  if (state === 'ready') throw taken(name);
  // A file whose adoption was interrupted has two names until a later run completes that.
  if (!claim) await requireAlone(on, file);
}

/** The same for a clone parent that becomes a snapshot or an image. */
export async function requireFreeSnapshot(on: AdoptHost, candidate: Candidate): Promise<void> {
  const now = (await on.store.snapshots.read(candidate.id))?.value;
  if (!now || now.state === 'deleted' || now.file?.inode === candidate.stat.inode) return;
  throw taken(candidate.name, 'snapshot');
}

/** The error where another object has this name. */
export const taken = (name: string, what = 'volume'): DriverError =>
  new DriverError(
    'name-taken',
    `there is a ${what} ${name} already, with another file; adopt it under another name`,
  );
