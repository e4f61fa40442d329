import { roundUp, sector, showBytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import type { MayWrite, Range } from '../../run/files.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { endClaim, underOwnClaim } from '../claims/own-claim.ts';
import { imageOf, statOf, pathOf } from '../claims/data-files.ts';

/** Grows the image to the size in the claim, and then the record. A thick volume gets its new blocks first. */
export async function growClaimed(
  host: Pick<ServiceHost, 'allocate'>,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const { claim, bytes: had, options } = held.value;
  const bytes = claim?.bytes ?? had;
  const path = pathOf(store, imageOf(held.value));
  if (options.provisioning === 'thick')
    await allocateMore(host, store, path, {
      added: { offset: had, length: bytes - had },
      may: underOwnClaim(store, held),
    });
  const { size } = await store.files.grow(path, bytes);
  return endClaim(store, held, () => ({ bytes: size }));
}

/** The file reaches its new size only with all blocks: a server that takes over tells from its size how far it came. */
async function allocateMore(
  { allocate }: Pick<ServiceHost, 'allocate'>,
  store: RootStore,
  path: string,
  { added, may }: { readonly added: Range; readonly may: MayWrite },
): Promise<void> {
  await requireRoom(store, added);
  await store.check();
  await may();
  if (await allocate(path, added)) return;
  // An earlier try may have grown the file; a device may have been attached since, and a pod may have written.
  const { size } = await store.files.stat(path);
  const end = added.offset + added.length;
  if (size < end) await store.files.writeZeros(path, { offset: size, length: end - size }, may);
}

// Blocks of an allocation that fails half way stay behind the end of the file, where no reader sees them.
async function requireRoom(store: RootStore, { length }: Range): Promise<void> {
  const { available } = await store.files.space(store.layout.root);
  if (available >= length) return;
  throw new DriverError(
    'no-space',
    `there is no room for all blocks of a thick volume: it needs ${showBytes(length)} more, and ${showBytes(available)} are free; ask for less, or add space`,
  );
}

/**
 * Ends an expansion that stopped somewhere: the record takes the size that the image has reached. Nothing is cut off,
 * since a node may have used it by now; nor is it tried again, since the disk may be full.
 */
export async function endGrowing(
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const { bytes: had } = held.value;
  const path = pathOf(store, imageOf(held.value));
  const seen = await statOf(store, path);
  if (!seen || seen.size <= had) return endClaim(store, held, () => ({}));
  // A server that died while it wrote zeros may have stopped inside of a sector.
  const { size: bytes } = await store.files.grow(path, roundUp(seen.size, sector));
  return endClaim(store, held, () => ({ bytes }));
}
