import type { Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import { fileKey, parseId, publicId, type FileKey, type LocalId } from '../../model/ids.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { usersOf } from '../attachments/users.ts';
import { removeVolume, removeImage } from '../volumes/remove.ts';
import { newFill } from '../claims/claims.ts';
import { buildFilled } from '../volumes/fill.ts';
import { requireOwnHandle } from '../roots/handles.ts';
import type { ServiceHost } from '../host.ts';
import { operate } from '../claims/operate.ts';
import { endClaim } from '../claims/own-claim.ts';
import { requireOwnImage } from '../parents/ownership.ts';
import { imageOf, pathOf, statOf } from '../claims/data-files.ts';
import { asCut, parentRecord } from '../parents/record.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { readyVolume, settleVolume, volumeMissing } from '../claims/settle.ts';
import { findSource } from '../volumes/sources.ts';

/** How a volume was moved. */
export type Migrated = 'renamed' | 'copied' | 'there already';

/**
 * Moves a volume to another root of the cluster. Its handle stays the same. Where both roots lie in one fileset and
 * the volume shares no blocks with clones, its file is renamed; else it is copied whole. The volume stays in the
 * first root until it is complete in the other one, and a second run starts from the beginning. Throws in-use, busy,
 * misconfigured or name-taken.
 */
export async function migrateVolume(
  host: ServiceHost,
  id: string,
  toPath: string,
): Promise<Migrated> {
  const target = await host.roots.byPath(toPath);
  const place = await homeOf(host, id);
  if (place.store.id === target.id) return finishEarlier(host, id, target);
  requireSameCluster(place.store, target);
  const held = await readyVolume(host, place.store, place.local);
  await requireUnused(place.store, held.value);
  await requireOwnHandle(host, target, place.local, place);
  await dropLeftOver(host, target, place.local, id);
  const renamed = canRename(place.store, target, held.value);
  const calm = renamed ? held : await cut(host, place.store, place.local, id);
  await requireOwnImage(place.store, calm.value);
  await operate(host, place.store, {
    id: place.local,
    from: calm,
    // Keeps other operations off the volume meanwhile; a server that takes this claim over changes nothing.
    plan: { op: 'modify' },
    during: calm.value,
    work: async (claimed) => {
      const move = { from: place.store, to: target, id, renamed };
      const arrived = await arrive(host, move, claimed.value);
      const leaving = await handOver(host, move, claimed, arrived);
      await removeImage(host, place.store, leaving);
    },
  });
  return renamed ? 'renamed' : 'copied';
}

/** Where a volume is now. Ends an earlier migration first that had handed it over. */
async function homeOf(host: ServiceHost, id: string): Promise<PlacedObject> {
  const place = await host.roots.byId(id);
  if (!place) throw volumeMissing(id);
  const held = await place.store.volumes.read(place.local);
  if (held?.value.claim?.movedTo === undefined) return place;
  await endMove(host, place);
  return homeOf(host, id);
}

/**
 * Ends a migration at the root that the volume left; resolves to its record there. An error does not count where the
 * record is deleted afterwards: then the migration has ended.
 */
async function endMove(
  host: ServiceHost,
  { store, local }: PlacedObject,
): Promise<Held<VolumeRecord> | undefined> {
  try {
    return await settleVolume(host, store, local);
  } catch (error) {
    const now = await store.volumes.read(local);
    if (now?.value.state === 'deleted') return now;
    throw error;
  }
}

/**
 * The step that commits a migration. Before the record here says that the volume has moved, a server that takes
 * over keeps the volume here; afterwards it ends the migration. Where another server took over before, the copy is
 * removed again.
 */
async function handOver(
  host: ServiceHost,
  move: Move,
  claimed: Held<VolumeRecord>,
  arrived: FileKey,
): Promise<Held<VolumeRecord>> {
  const { value } = claimed;
  const movedTo = publicId(move.to.id, value.id);
  const claim = value.claim && { ...value.claim, op: 'delete' as const, movedTo };
  const leaving = { ...value, state: 'deleting' as const, claim };
  try {
    return await move.from.volumes.swap(claimed.id, claimed, leaving, 'name');
  } catch (error) {
    await dropArrived(host, move, value.id, arrived);
    throw error;
  }
}

/** A swap that failed may still have taken effect, and the copy may be that of a later migration. */
async function dropArrived(
  host: ServiceHost,
  { from, to, id }: Move,
  local: LocalId,
  arrived: FileKey,
): Promise<void> {
  const here = await from.volumes.read(local);
  const there = await to.volumes.read(local);
  if (here?.value.state === 'ready' && there?.value.image?.key === arrived)
    await dropLeftOver(host, to, local, id);
}

/** The volume is in the target: removes what an interrupted run left in the root that it came from. */
async function finishEarlier(host: ServiceHost, id: string, target: RootStore): Promise<Migrated> {
  const parsed = parseId(id);
  const origin = (await host.roots.all()).find((store) => store.id === parsed?.root);
  if (!parsed || !origin || origin.id === target.id) return 'there already';
  const left = await endMove(host, { store: origin, local: parsed.local });
  if (left?.value.state === 'ready')
    await removeVolume(host, { store: origin, local: parsed.local });
  return 'there already';
}

function requireSameCluster(from: RootStore, to: RootStore): void {
  if (from.facts.clusterId === to.facts.clusterId) return;
  throw new DriverError(
    'misconfigured',
    `root ${to.layout.root} belongs to cluster ${to.facts.clusterId}, and the volume to ${from.facts.clusterId}; export it there and adopt it`,
  );
}

/** The file may keep its inode, so a node that has it open here would continue to write to it in the target. */
async function requireUnused(store: RootStore, record: VolumeRecord): Promise<void> {
  const { id, attachments } = record;
  const [user] = await usersOf(store, record);
  if (user === undefined) return;
  throw new DriverError(
    'in-use',
    attachments.length > 0
      ? `volume ${id} cannot be moved: it is attached to node ${user}; end its pods first`
      : `volume ${id} cannot be moved: it may still be open on node ${user}, which has not unstaged it; bring that node back or restart it`,
  );
}

/** Removes the copy of an earlier run, even a complete one: the volume may have been written to since. */
async function dropLeftOver(
  host: ServiceHost,
  target: RootStore,
  local: LocalId,
  id: string,
): Promise<void> {
  const held = await settleVolume(host, target, local);
  if (held?.value.state !== 'ready') return;
  if (held.value.handle !== id)
    throw new DriverError(
      'name-taken',
      `root ${target.layout.root} has another volume ${local} already; it cannot take this one`,
    );
  await removeVolume(host, { store: target, local });
}

const canRename = (from: RootStore, to: RootStore, record: VolumeRecord): boolean =>
  from.facts.fileSystem === to.facts.fileSystem &&
  from.facts.fileset === to.facts.fileset &&
  record.parent === null;

/** Makes a clone parent with all the data to copy, and checks that no node has written to the volume since. */
async function cut(
  host: ServiceHost,
  store: RootStore,
  local: LocalId,
  id: string,
): Promise<Held<VolumeRecord>> {
  const source = await findSource(host, { kind: 'volume', id });
  const { ref } = await source.parent(fileKey(local, 1, host.nonce()));
  const held = await readyVolume(host, store, local);
  await requireUnused(store, held.value);
  if (held.value.unchanged && held.value.parent === ref.key) return held;
  throw new DriverError('busy', `volume ${local} was used while it was being moved; try again`);
}

/** A migration under way. */
interface Move {
  readonly from: RootStore;
  readonly to: RootStore;
  readonly id: string;
  readonly renamed: boolean;
}

/** The size of a volume's file, which may be larger than the record says where an older version wrote that. */
async function fileBytes(store: RootStore, record: VolumeRecord): Promise<Bytes> {
  const stat = await statOf(store, pathOf(store, imageOf(record)));
  return stat && stat.size > record.bytes ? stat.size : record.bytes;
}

/** Makes the volume in its new root. */
async function arrive(host: ServiceHost, move: Move, record: VolumeRecord): Promise<FileKey> {
  const { from, to, id, renamed } = move;
  const held = await to.volumes.read(record.id);
  const key = fileKey(record.id, (held?.version ?? 0) + 1, host.nonce());
  const image: DataRef = { data: 'volumes', key };
  const sameSystem = from.facts.fileSystem === to.facts.fileSystem;
  const known = record.parent === null ? undefined : await parentRecord(from, record.parent);
  const parent = known && (await asCut(from, known));
  await operate(host, to, {
    id: record.id,
    from: held,
    plan: {
      op: 'create',
      image: key,
      ...(renamed ? {} : { fill: newFill(record.options.provisioning === 'thick') }),
    },
    during: {
      ...record,
      bytes: await fileBytes(from, record),
      handle: id,
      state: 'creating',
      image: null,
      parent: null,
      depth: 0,
      unchanged: true,
      // Each file system has its own pools.
      attributes: sameSystem ? record.attributes : {},
      attachments: [],
      retype: null,
    },
    work: async (claimed) => {
      if (!renamed) {
        await buildFilled(host, to, { claimed, image }, parent && { store: from, parent });
        return;
      }
      const path = pathOf(to, image);
      await to.makeIn(path, () => to.files.link(pathOf(from, imageOf(record)), path));
      const made = { key, inode: record.image?.inode ?? 0n };
      await endClaim(to, claimed, () => ({ state: 'ready', image: made }));
    },
  });
  return key;
}

/**
 * The same host for a command that an administrator may interrupt: after the signal, no further part of a volume is
 * allocated or copied, and what was begun is undone as after any failure.
 */
export const stoppable = (host: ServiceHost, signal: AbortSignal): ServiceHost => ({
  ...host,
  turn: (fileSystem, work) =>
    host.turn(fileSystem, () => {
      signal.throwIfAborted();
      return work();
    }),
  allocate: (path, range) => {
    signal.throwIfAborted();
    return host.allocate(path, range);
  },
});
