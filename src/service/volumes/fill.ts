import { GiB, type Bytes } from '../../model/bytes.ts';
import { planEmpty, type DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import type { Range } from '../../run/files.ts';
import type { Copy } from '../../store/notes/copies.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Fill } from '../../store/schema/claim.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { endClaim, underOwnClaim } from '../claims/own-claim.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import type { Parent } from '../parents/record.ts';
import { reclaim } from '../parents/reclaim.ts';
import { sectorsOf } from '../../model/sectors.ts';
import { confirmParent, perform } from '../claims/steps.ts';

/** How much is written between two writes of the record: what a crash can cost, and how often progress shows. */
const allocateBytes = 256n * GiB;
const copyBytes = GiB;
const zeroBytes = GiB;

/** What a new volume's file is filled from, and the root that it lies in. */
export interface FillSource {
  readonly store: RootStore;
  readonly parent: Parent;
}

/** A claimed volume, and the file to make for it. */
export interface NewImage {
  readonly claimed: Held<VolumeRecord>;
  readonly image: DataRef;
}

/** Makes the file of a volume that is filled before it is ready, and fills it. */
export async function buildFilled(
  host: ServiceHost,
  store: RootStore,
  { claimed, image }: NewImage,
  source: FillSource | undefined,
): Promise<VolumeRecord> {
  const { attributes, bytes } = claimed.value;
  const begun = source ? await addSourceEdge(store, claimed, image, source) : claimed;
  await perform(store, host.commands, planEmpty(image, bytes, attributes));
  return finishFilling(host, store, begun, image);
}

/** The record names the source before the edge exists: a server that takes over finds which edge to remove. */
async function addSourceEdge(
  store: RootStore,
  claimed: Held<VolumeRecord>,
  image: DataRef,
  { store: home, parent }: FillSource,
): Promise<Held<VolumeRecord>> {
  const { ref, bytes, content } = parent;
  const beside = { content, ...sectorsOf(parent) };
  const from = { root: home.id, ...ref, bytes };
  const tied = await progress(store, claimed, { from }, beside);
  if (home.id !== store.id)
    await home.copies.add({ parent: ref.key, to: store.id, child: image.key });
  await home.edges.add(ref.key, image.key);
  await confirmParent(home, ref);
  return tied;
}

/** Fills the file, and makes the volume ready. No other process continues in this file: one that takes over begins a new one. */
async function finishFilling(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  image: DataRef,
): Promise<VolumeRecord> {
  const { id, bytes } = held.value;
  const path = pathOf(store, image);
  host.log.info({ volume: id, bytes, fill: held.value.claim?.fill }, 'filling a volume');
  const allocated = await allocate(host, store, held, path);
  const filled = await copy(host, store, allocated, path);
  const stat = await statOf(store, path);
  if (stat?.size !== bytes)
    throw new DriverError(
      'command-failed',
      `the new image of volume ${id} has ${stat?.size ?? 'no'} bytes instead of ${bytes}; try again`,
    );
  await removeSourceEdge(host, store, filled.value, image);
  const made = { key: image.key, inode: stat.inode };
  const ready = await endClaim(store, filled, () => ({ state: 'ready', image: made, depth: 0 }));
  await reclaimSource(host, filled.value);
  host.log.info({ volume: id, bytes }, 'volume filled');
  return ready.value;
}

async function allocate(
  host: Pick<ServiceHost, 'allocate' | 'progress'>,
  store: RootStore,
  held: Held<VolumeRecord>,
  path: string,
): Promise<Held<VolumeRecord>> {
  const may = underOwnClaim(store, held);
  let now = held;
  for (let works = true; ;) {
    const { thick, allocatedBytes: at } = fillOf(now.value);
    const left = now.value.bytes - at;
    if (!thick || left === 0n) return now;
    const whole = part(at, left, allocateBytes);
    await store.check();
    await may();
    works &&= await host.allocate(path, whole);
    const done = works ? whole : part(at, left, zeroBytes);
    // Writing zeros is as slow as the disk; it is for file systems that cannot allocate.
    if (!works) await store.files.writeZeros(path, done, may);
    now = await progress(store, now, { allocatedBytes: at + done.length });
    const { id: volume, bytes: of } = now.value;
    host.progress({ volume, step: 'allocating', done: at + done.length, of });
  }
}

async function copy(
  host: Pick<ServiceHost, 'progress' | 'roots' | 'turn'>,
  store: RootStore,
  held: Held<VolumeRecord>,
  path: string,
): Promise<Held<VolumeRecord>> {
  const { from } = fillOf(held.value);
  if (from === null) return held;
  const home = await rootOf(host, from.root);
  const source = pathOf(home, from);
  const may = underOwnClaim(store, held);
  let now = held;
  for (;;) {
    const { copiedBytes } = fillOf(now.value);
    const left = from.bytes - copiedBytes;
    if (left === 0n) return now;
    const range = part(copiedBytes, left, copyBytes);
    await host.turn(store.facts.fileSystem, async () => {
      await home.check();
      await store.files.copyRange(source, path, range, may);
    });
    now = await progress(store, now, { copiedBytes: range.offset + range.length });
    const done = copiedBytes + range.length;
    host.progress({ volume: now.id, step: 'copying', done, of: from.bytes });
  }
}

const part = (offset: Bytes, left: Bytes, most: Bytes): Range => ({
  offset,
  length: left < most ? left : most,
});

/** Writes the progress of a fill into the record; busy when another server has taken the fill over. */
function progress(
  store: RootStore,
  held: Held<VolumeRecord>,
  change: Partial<Fill>,
  beside: Partial<VolumeRecord> = {},
): Promise<Held<VolumeRecord>> {
  const { claim } = held.value;
  return store.volumes.swap(held.id, held, {
    ...held.value,
    ...beside,
    claim: claim && { ...claim, fill: { ...fillOf(held.value), ...change } },
  });
}

function fillOf({ id, claim }: VolumeRecord): Fill {
  if (claim?.fill) return claim.fill;
  throw new Error(`volume ${id} is not being filled`);
}

async function rootOf(host: Pick<ServiceHost, 'roots'>, id: string): Promise<RootStore> {
  const found = (await host.roots.all()).find((store) => store.id === id);
  if (found) return found;
  throw new DriverError(
    'unavailable',
    `root ${id}, which a volume is copied from, is not configured here; add it, or delete the volume`,
  );
}

/** Removes the edge that kept the source of a fill from being removed. */
export async function removeSourceEdge(
  host: Pick<ServiceHost, 'roots'>,
  store: RootStore,
  record: VolumeRecord,
  image: DataRef,
): Promise<void> {
  const from = record.claim?.fill?.from;
  if (!from) return;
  const copy = { parent: from.key, to: store.id, child: image.key };
  await removeCopyEdge(await rootOf(host, from.root), copy);
}

/** Removes the edge to a file that was filled. Where that lies in another root, removes the note of that afterwards. */
export async function removeCopyEdge(home: RootStore, copy: Copy): Promise<void> {
  await home.edges.remove(copy.parent, copy.child);
  if (copy.to !== home.id) await home.copies.remove(copy);
}

/** Removes the source of a fill, where nothing else needs it. */
export async function reclaimSource(host: ServiceHost, record: VolumeRecord): Promise<void> {
  const from = record.claim?.fill?.from;
  if (from) await reclaim(host, await rootOf(host, from.root), from.key);
}
