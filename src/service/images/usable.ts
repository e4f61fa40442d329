import { sectorBytesIn, superblock } from '../../linux/disk-head.ts';
import type { Losetup } from '../../linux/losetup.ts';
import { DriverError, isFault } from '../../model/fault.ts';
import { sectorBytesFor } from '../../model/sectors.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import { loopedName, withArea, type ProbeHost } from '../probe/area.ts';

/** What trying an image needs: the files of a probe, which a sweep removes, and loop devices. */
export interface ImageTrial extends ProbeHost {
  readonly losetup: Losetup;
}

/**
 * Tries whether a loop device with the sectors of an image gets direct I/O on a clone of it; resolves to false where
 * it does not, and to undefined where the trial itself failed.
 */
export const tryClone = (
  host: ImageTrial,
  store: RootStore,
  { image, sectorBytes }: { readonly image: string; readonly sectorBytes: number },
): Promise<boolean | undefined> =>
  withArea(host, store, async (at) => {
    await host.clone.copy(image, at(loopedName));
    const options = { readonly: true, sectorBytes };
    try {
      await host.losetup.detach(await host.losetup.attach(at(loopedName), options));
      return true;
    } catch (error) {
      return isFault(error, 'wrong-state') ? false : undefined;
    }
  }).catch(() => undefined);

/** What helps where clones of an image cannot be used; the end of a sentence. */
export const helpForClones =
  'a whole copy of it may work (a class with imageShareMode: copy, or provisioning: thick); where only a hypervisor uses it, import it with --sector-size 4096';

/** A volume that is asked for, and whether it gets a copy of its image. */
export interface UseOfImage {
  readonly spec: VolumeSpec;
  readonly isCopy: boolean;
  /** Nodes accept loop devices without direct I/O. */
  readonly allowBuffered: boolean;
}

/** Throws wrong-state for a volume of an image that no node could stage. */
export async function requireUsable(
  store: RootStore,
  record: SnapshotRecord | undefined,
  { spec, isCopy, allowBuffered }: UseOfImage,
): Promise<void> {
  if (!record?.golden) return;
  if (record.cloneDirectIo === false && !isCopy && !allowBuffered)
    throw unusable(
      record,
      `cannot be cloned for use: its disk was made for sectors of ${sectorBytesFor(record)} bytes, and a loop device with these gets no direct I/O on a clone of it; ${helpForClones}`,
    );
  const isMounted = spec.capabilities.some(({ access }) => access.kind === 'mount');
  if (isMounted) await requireLargeSectors(store, record);
}

const unusable = ({ golden }: SnapshotRecord, why: string): DriverError =>
  new DriverError('wrong-state', `image ${golden?.name ?? ''} ${why}`);

/** Throws wrong-state for a file system that cannot be mounted from sectors as large as those of its image. */
async function requireLargeSectors(store: RootStore, record: SnapshotRecord): Promise<void> {
  if (!record.file) return;
  const sectors = sectorBytesFor(record);
  const path = store.layout.data('snapshots', record.file.key);
  // A file that cannot be read here is no reason to refuse: the stage reads it again.
  const [own, found] = await Promise.all([
    sectorBytesIn(path).catch(() => sectors),
    superblock(path).catch(() => undefined),
  ]);
  if (found && own < sectors)
    throw unusable(
      record,
      `cannot be mounted: its ${found.type} needs sectors of ${own} bytes, and it was imported with --sector-size ${sectors}; use it as a block volume, or import it again without that flag`,
    );
}
