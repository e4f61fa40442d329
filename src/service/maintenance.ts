import { join } from 'node:path';
import { DriverError, isFault } from '../model/fault.ts';
import type { FileKey } from '../model/ids.ts';
import type { Clock } from '../run/clock.ts';
import { undefinedWhenUnreadable } from '../store/json.ts';
import type { Held, Records } from '../store/records.ts';
import type { FoundHealth } from '../store/nodes.ts';
import type { RootStore } from '../store/root.ts';
import { settleAbandonedSnapshot, settleAbandonedVolume } from './claims/abandoned.ts';
import { freeBarred } from './claims/bar.ts';
import { takeLease } from './compaction/lease.ts';
import { sweepArrival } from './migrate/arrivals.ts';
import { sweepCopies } from './volumes/fill-sweep.ts';
import { isTooDeep } from './parents/depth.ts';
import { settleGroup } from './groups/settle.ts';
import { sweepMoves } from './roots/handles.ts';
import { inEachRoot } from './roots/roots.ts';
import type { ServiceHost } from './host.ts';
import { reclaim, type ReclaimHost } from './parents/reclaim.ts';

/** How long the record of a deleted object stays: far longer than any server stalls and then continues. */
const keepDeletedMs = 24 * 3_600_000;

/** The age at which no server can still be writing a temporary file, or wait for a file system to be frozen. */
const oldMs = 3_600_000;

/**
 * One round of what every server does regularly: its heartbeat, what it found wrong, barred names that can be freed,
 * claims and queue items that it could not write before.
 */
export async function beat(
  host: Pick<ServiceHost, 'roots' | 'self' | 'claims' | 'backlog' | 'log'>,
  problems?: FoundHealth['problems'],
): Promise<void> {
  await inEachRoot(host, async (store) => {
    await store.nodes.beat(host.self.node);
    if (problems) await leaveHealth(host, store, problems);
    await freeBarred(host, store);
  }).finally(async () => {
    await host.claims.retry();
    await host.backlog.retry();
  });
}

async function leaveHealth(
  { self: { node, instance }, log }: Pick<ServiceHost, 'self' | 'log'>,
  { nodes }: RootStore,
  problems: FoundHealth['problems'],
): Promise<void> {
  await nodes.leaveHealth({ node, instance, problems }).catch((error: unknown) => {
    // A full file system: the heartbeat counts, and the next one tries this again.
    log.debug({ error }, 'what this server found could not be left in the root');
  });
}

/**
 * Makes the missing spare files of the roots: after an upgrade, and after a file system was full. Says so
 * where there is no space for it.
 */
export async function fillSpares(host: Pick<ServiceHost, 'roots' | 'log'>): Promise<void> {
  await inEachRoot(host, async ({ spares, layout: { root } }) => {
    const { there, of } = await spares.fill();
    if (there < of)
      throw new DriverError(
        'no-space',
        `root ${root} has ${there} of the ${of} spare files, and no space for more; once all are used, nothing can be deleted while the file system is full`,
      );
  });
}

/** How often a root is swept, by the server that takes its lease first. */
export const sweepMs = 6 * 3_600_000;

/**
 * Removes records of objects that were deleted long ago, and temporary files that crashes left. A writer that
 * stalled all that time finds its temporary file gone, and writes nothing. Puts on the queue again what may have
 * been lost: items of a server that could not write them, and died. Ends operations of servers that are gone, where
 * no caller has asked for them since.
 */
export async function sweepRoot(host: ServiceHost, { freeing: store }: RootStore): Promise<void> {
  const lease = await takeLease(host, store);
  if (!lease) return;
  const now = host.clock.now();
  // Every server has such a timer; one sweep is enough.
  if (now - lease.sweptMs < 0.9 * sweepMs) return lease.release();
  try {
    await sweepOld(store, host.clock, store.layout.temporary);
    await sweepFreezes(store, host.clock);
    await sweepRecords(host, store, store.volumes, async (held) => {
      const { state, depth = 0, ...volume } = held.value;
      if (state === 'ready' && isTooDeep(depth, volume)) await host.backlog.add(store, held.id);
      await sweepArrival(host, store, held);
      await settleAbandonedVolume(host, store, held);
    });
    await sweepGroups(host, store);
    await sweepRecords(host, store, store.snapshots, (held) =>
      settleAbandonedSnapshot(host, store, held),
    );
    await sweepHidden(host, store);
    await sweepCopies(host, store);
    await sweepMoves(host, store);
  } catch (error) {
    await lease.release();
    throw error;
  }
  await lease.release(now);
}

/**
 * Ends interrupted creations and deletions of groups: perhaps no request repeats them, and their snapshots take
 * space.
 */
async function sweepGroups(host: ServiceHost, store: RootStore): Promise<void> {
  await sweepRecords(host, store, store.groups, async ({ value: { id, claim } }) => {
    if (!claim) return;
    await settleGroup(host, store, id).catch((error: unknown) => {
      host.log.info(
        { group: id, error },
        'a group whose creation or deletion was interrupted stays for now',
      );
    });
  });
}

/**
 * Reclaims clone parents that a server left because it died in a deletion, and puts lost items on the queue again.
 */
async function sweepHidden(host: ReclaimHost, store: RootStore): Promise<void> {
  for await (const key of hiddenKeys(store)) {
    const stays = await reclaim(host, store, key);
    if (stays?.children === 1) await host.backlog.add(store, stays.key);
  }
}

/**
 * Frees barred names and reclaims hidden clone parents that nothing needs, when a root is opened: an earlier process of this
 * node may have died before it did.
 */
export async function reclaimAll(
  host: ReclaimHost & Pick<ServiceHost, 'claims'>,
  { freeing: store }: RootStore,
): Promise<void> {
  await freeBarred(host, store);
  for await (const key of hiddenKeys(store)) await reclaim(host, store, key);
}

async function* hiddenKeys(store: RootStore): AsyncGenerator<FileKey> {
  for (const shard of await store.hidden.shards())
    for (const key of (await store.hidden.ids(shard)).keys()) yield key as FileKey;
}

/** Removes the files of a directory that no server can still be writing, or wait for. */
async function sweepOld(store: RootStore, clock: Clock, directory: string): Promise<void> {
  for (const path of await pathsIn(store, directory)) {
    const stat = await store.files.stat(path).catch(() => undefined);
    if (stat && clock.now() - stat.modifiedMs > oldMs)
      await store.files.unlink(path).catch(() => undefined);
  }
}

/** Removes requests of servers that died while they waited, to nodes that may never come back to clear them. */
async function sweepFreezes(store: RootStore, clock: Clock): Promise<void> {
  for (const node of await pathsIn(store, store.layout.freezesOfAll))
    await sweepOld(store, clock, node);
}

// What cannot be listed does not stop the rest of the sweep.
const pathsIn = async ({ files }: RootStore, directory: string): Promise<readonly string[]> =>
  (await files.list(directory).catch(() => [])).map((name) => join(directory, name));

interface Deletable {
  readonly state: string;
  readonly deletedMs?: number | undefined;
}

/**
 * Removes records of what was deleted long ago; calls `living` with every other record. An object whose files are
 * damaged does not stop the sweep of the others; a root that is away does.
 */
async function sweepRecords<T extends Deletable>(
  { clock, log }: Pick<ServiceHost, 'clock' | 'log'>,
  { bad }: Pick<RootStore, 'bad'>,
  records: Records<T>,
  living: (held: Held<T>) => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const old = ({ value }: Held<T>) =>
    value.state === 'deleted' && clock.now() - (value.deletedMs ?? clock.now()) > keepDeletedMs;
  const sweep = async (id: string): Promise<void> => {
    const held = await records.read(id).catch(undefinedWhenUnreadable(bad));
    if (held) await (old(held) ? records.forget(held) : living(held));
  };
  for (const shard of await records.shards())
    for (const id of (await records.ids(shard)).keys())
      await sweep(id).catch((error: unknown) => {
        if (isFault(error, 'unavailable', 'no-space')) throw error;
        if (isFault(error, 'unreadable-record')) bad.note(error);
        else log.warn({ id, error }, 'an object could not be swept; the next sweep tries again');
      });
}
