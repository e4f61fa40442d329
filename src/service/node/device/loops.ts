import { basename } from 'node:path';
import { DriverError, isFault } from '../../../model/fault.ts';
import { sameFile, type AttachOptions, type Attached, type Loop } from '../../../linux/loop.ts';
import type { BlockDevice } from '../../../linux/mount.ts';
import { deviceNumber, hasNameOf, loopState, nodeIn } from '../../../linux/sysblock.ts';
import type { RootStore } from '../../../store/root.ts';
import { sectorBytesFor } from '../../../model/sectors.ts';
import { isShared } from './fitness.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';

/** All devices that a record names. */
export const loopsIn = (record: NodeRecord): readonly Loop[] =>
  [record.loop, ...record.targets.map(({ loop }) => loop)].filter((loop) => loop !== null);

const nameOf = ({ path, diskseq }: Attached): string => `${path}@${diskseq}`;

/** Devices of the record's image that the record does not name. */
async function straysOf(
  host: Pick<NodeHost, 'losetup'>,
  record: NodeRecord,
): Promise<readonly Attached[]> {
  const own = loopsIn(record).map(nameOf);
  const all = await host.losetup.loopsOf(record.image, record.imagePath);
  return all.filter((loop) => !own.includes(nameOf(loop)));
}

/**
 * The record with what it must say before a device is attached. Throws wrong-state for a device of the image
 * that an administrator attached: two devices on one image destroy a file system.
 */
export async function withAttaching(
  host: Pick<NodeHost, 'losetup' | 'self'>,
  store: RootStore,
  record: NodeRecord,
): Promise<NodeRecord> {
  if (record.attaching) return record;
  const strays = await straysOf(host, record);
  const [first] = strays;
  if (first && !(await usedByOthers(host, store, record)))
    throw new DriverError(
      'wrong-state',
      `image ${record.imagePath} is attached to ${first.path} already, which the records of this node do not name; detach it first`,
    );
  return { ...record, attaching: strays.map(nameOf) };
}

/** Devices that a process of this node attached before it died, and so could not name in the record. */
async function unnamed(
  host: Pick<NodeHost, 'losetup' | 'self'>,
  store: RootStore,
  record: NodeRecord,
): Promise<readonly Attached[]> {
  const { attaching } = record;
  if (!attaching) return [];
  const strays: Attached[] = [];
  for (const loop of await straysOf(host, record))
    if (!attaching.includes(nameOf(loop)) && (await hasName(loop, record))) strays.push(loop);
  return strays.length > 0 && (await usedByOthers(host, store, record)) ? [] : strays;
}

// The inode number of a deleted image may belong to another volume's image now; names are used once.
const hasName = async ({ path }: Attached, { imagePath }: NodeRecord): Promise<boolean> =>
  hasNameOf(await loopState(path), imagePath);

// Two nodes of a test cluster share one kernel and see each other's devices. Each sets its mark before it attaches.
async function usedByOthers(
  host: Pick<NodeHost, 'self'>,
  store: RootStore,
  { generation }: NodeRecord,
): Promise<boolean> {
  return (await store.marks.of(generation)).some(({ node }) => node !== host.self.node);
}

/** Detaches the devices that an interrupted attempt left. */
export async function detachUnnamed(
  host: Pick<NodeHost, 'losetup' | 'self'>,
  store: RootStore,
  record: NodeRecord,
): Promise<void> {
  for (const loop of await unnamed(host, store, record)) await host.losetup.detach(loop);
}

/** A device for the image: one that an interrupted attempt left, where `resumed` says so, or a new one. */
export async function obtainLoop(
  host: Pick<NodeHost, 'losetup' | 'self' | 'allowBuffered'>,
  volume: NodeVolume,
  record: NodeRecord,
  how: { readonly readonly: boolean; readonly resumed: boolean },
): Promise<Loop> {
  const options = attachOptions(host, volume, how);
  const found = how.resumed ? await takeOver(host, volume, record, options) : undefined;
  if (found) return found;
  const { imagePath, image } = record;
  const loop = await host.losetup.attach(imagePath, options).catch(explain(volume));
  // Another file may have got the name between the driver's check and losetup.
  if (sameFile(loop.backing, image)) return loop;
  await host.losetup.detach(loop);
  throw new DriverError(
    'wrong-state',
    `image ${imagePath} was replaced while it was being attached; try again`,
  );
}

const attachOptions = (
  { allowBuffered }: Pick<NodeHost, 'allowBuffered'>,
  { record }: NodeVolume,
  { readonly }: { readonly readonly: boolean },
): AttachOptions => ({
  readonly,
  sectorBytes: sectorBytesFor(record),
  allowBuffered: allowBuffered && !isShared(record),
});

/** Turns "no direct I/O" into an error that says what it means for the volume, and what helps. */
const explain =
  ({ id, record }: NodeVolume) =>
  (error: unknown): never => {
    if (!isFault(error, 'wrong-state')) throw error;
    throw new DriverError(
      'wrong-state',
      `volume ${id} cannot be staged: its disk was made for sectors of ${sectorBytesFor(record)} bytes, and a loop device with these gets no direct I/O on its image, without which written data can be lost; make a whole copy of it (a class with provisioning: thick), import it with --sector-size 4096 where only a hypervisor uses it, or write it out with gpfs-csi export and recreate it for sectors of 4096`,
      error,
    );
  };

/** True when a device that the record names is as wanted. */
export const isAsWanted = async (
  host: Pick<NodeHost, 'losetup'>,
  loop: Loop,
  record: NodeRecord,
  wanted: { readonly record: NodeVolume['record']; readonly readonly: boolean },
): Promise<boolean> =>
  loop.readonly === wanted.readonly &&
  sameFile(loop.backing, record.image) &&
  (await loopState(loop.path))?.sectorBytes === sectorBytesFor(wanted.record) &&
  (await isUsable(host, loop, record));

/** True when a device can be used. A mount keeps it attached, the bind of its node does not: it must not be leaving. */
export const isUsable = (
  { losetup }: Pick<NodeHost, 'losetup'>,
  loop: Loop,
  { kind }: NodeRecord,
): Promise<boolean> => (kind === 'block' ? losetup.isThereToStay(loop) : losetup.isAttached(loop));

/** The device that an interrupted attempt left and that fits; the others that it left are detached. */
async function takeOver(
  host: Pick<NodeHost, 'losetup' | 'self'>,
  { store }: NodeVolume,
  record: NodeRecord,
  options: AttachOptions,
): Promise<Loop | undefined> {
  const strays = await unnamed(host, store, record);
  let kept: Loop | undefined;
  for (const loop of strays) {
    kept ??= await host.losetup.fit(loop, record.imagePath, options);
    if (kept?.path !== loop.path) await host.losetup.detach(loop);
  }
  return kept;
}

/** A loop device as mountinfo knows it. */
export const blockDevice = async ({ path }: Pick<Loop, 'path'>): Promise<BlockDevice> => ({
  number: await deviceNumber(path),
  name: basename(path),
  nodeIn: await nodeIn(path),
});
