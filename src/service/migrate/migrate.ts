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
import { imageOf, pathOf } from '../claims/data-files.ts';
import { parentRecord } from '../parents/record.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { readyVolume, settleVolume, volumeMissing } from '../claims/settle.ts';
import { findSource } from '../volumes/sources.ts';

/** How a volume went. */
export type Migrated = 'renamed' | 'copied' | 'there already';

/**
 * Moves a volume to another root of the cluster. Its handle stays what it is. Where both roots lie in one
 * fileset and nothing is shared with clones, the file gets another name; else it is copied whole. Until the
 * volume is complete over there the one here counts, and a second try begins anew.
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
    // Keeps everybody else from the volume meanwhile; taken over, it changes nothing.
    plan: { op: 'modify' },
    during: calm.value,
    work: async (claimed) => {
      const way = { from: place.store, to: target, id, renamed };
      const arrived = await arrive(host, way, claimed.value);
      const leaving = await handOver(host, way, claimed, arrived);
      await removeImage(host, place.store, leaving);
    },
  });
  return renamed ? 'renamed' : 'copied';
}

/** Where a volume is now, once an earlier try that had handed it over has ended. */
async function homeOf(host: ServiceHost, id: string): Promise<PlacedObject> {
  const place = await host.roots.byId(id);
  if (!place) throw volumeMissing(id);
  const held = await place.store.volumes.read(place.local);
  if (held?.value.claim?.movedTo === undefined) return place;
  await endMove(host, place);
  return homeOf(host, id);
}

/** What is left where a volume was, at rest. That a move ends only by this is no reason to try again. */
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
 * The one step that counts: until the record here says that the volume has moved, whoever takes over keeps it
 * here, and from then on ends the move. Where somebody took over before, what arrived is removed again.
 */
async function handOver(
  host: ServiceHost,
  way: Journey,
  claimed: Held<VolumeRecord>,
  arrived: FileKey,
): Promise<Held<VolumeRecord>> {
  const { value } = claimed;
  const movedTo = publicId(way.to.id, value.id);
  const claim = value.claim && { ...value.claim, op: 'delete' as const, movedTo };
  const leaving = { ...value, state: 'deleting' as const, claim };
  try {
    return await way.from.volumes.swap(claimed.id, claimed, leaving, 'name');
  } catch (error) {
    await dropArrived(host, way, value.id, arrived);
    throw error;
  }
}

/** A swap that failed may have been done all the same; and a later move may have brought another file. */
async function dropArrived(
  host: ServiceHost,
  { from, to, id }: Journey,
  local: LocalId,
  arrived: FileKey,
): Promise<void> {
  const here = await from.volumes.read(local);
  const there = await to.volumes.read(local);
  if (here?.value.state === 'ready' && there?.value.image?.key === arrived)
    await dropLeftOver(host, to, local, id);
}

/** The volume is there; what an interrupted try left where it came from goes now. */
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

/** The file may keep its inode, so whoever has it open here would go on writing to it over there. */
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

/** A copy of an earlier try was complete, but the volume here has been used since. */
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

/** Sees to it that a clone parent holds all there is to copy, and that nobody has written since. */
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
  throw new DriverError('busy', `volume ${local} was used while it was to be moved; try again`);
}

interface Journey {
  readonly from: RootStore;
  readonly to: RootStore;
  readonly id: string;
  readonly renamed: boolean;
}

/** Makes the volume in its new root. */
async function arrive(host: ServiceHost, way: Journey, record: VolumeRecord): Promise<FileKey> {
  const { from, to, id, renamed } = way;
  const held = await to.volumes.read(record.id);
  const key = fileKey(record.id, (held?.version ?? 0) + 1, host.nonce());
  const image: DataRef = { data: 'volumes', key };
  const sameSystem = from.facts.fileSystem === to.facts.fileSystem;
  const parent = record.parent === null ? undefined : await parentRecord(from, record.parent);
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
      ...{ handle: id, state: 'creating', image: null, parent: null, depth: 0, unchanged: true },
      // Pools are those of a file system.
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
 * The same host for a command that people interrupt: once the signal fires, no further part of a volume is
 * allocated or copied, and what was begun is taken back as after any failure.
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
