import { join } from 'node:path';
import type { FileKey } from '../model/ids.ts';
import type { Clock } from '../run/clock.ts';
import type { Held, Records } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import { takeLease } from './compaction/lease.ts';
import { sweepArrival } from './migrate/arrivals.ts';
import { sweepCopies } from './volumes/fill-sweep.ts';
import { isTooDeep } from './parents/depth.ts';
import { settleGroup } from './groups/settle.ts';
import { inEachRoot } from './roots/roots.ts';
import type { ServiceHost } from './host.ts';
import { reclaim, type ReclaimHost } from './parents/reclaim.ts';

/** How long the record of a deleted object stays: far longer than any server sleeps and wakes up again. */
const keepDeletedMs = 24 * 3_600_000;

/** How old a temporary file is when nobody can still be writing it. */
const temporaryMs = 3_600_000;

/** One round of what every server does now and then: show that it lives, give claims back, write what it could not. */
export async function beat(
  host: Pick<ServiceHost, 'roots' | 'self' | 'claims' | 'backlog'>,
): Promise<void> {
  await inEachRoot(host, (store) => store.nodes.beat(host.self.node)).finally(async () => {
    await host.claims.retry();
    await host.backlog.retry();
  });
}

/** How often a root is swept, by whichever server gets there first. */
export const sweepMs = 6 * 3_600_000;

/**
 * Forgets records of objects deleted long ago, and temporary files that crashes left. A writer that slept
 * all that time had its temporary file before it, finds it gone, and writes nothing. Puts on the queue what is
 * worth a look and may have been lost: announced to a server that could not write it, and died.
 */
export async function sweepRoot(host: ServiceHost, store: RootStore): Promise<void> {
  const lease = await takeLease(host, store);
  if (!lease) return;
  const now = host.clock.now();
  // Every server has such a timer; one of them is enough.
  if (now - lease.sweptMs < 0.9 * sweepMs) return lease.release();
  try {
    await sweepTemporary(store, host.clock);
    await sweepRecords(store.volumes, host.clock, async (held) => {
      const { state, depth = 0, ...volume } = held.value;
      if (state === 'ready' && isTooDeep(depth, volume)) await host.backlog.add(store, held.id);
      await sweepArrival(host, store, held);
    });
    await sweepGroups(host, store);
    await sweepRecords(store.snapshots, host.clock);
    await sweepHidden(host, store);
    await sweepCopies(host, store);
  } catch (error) {
    await lease.release();
    throw error;
  }
  await lease.release(now);
}

/** Nobody may ask again for a group that came to nothing, and its snapshots belong to nobody. */
async function sweepGroups(host: ServiceHost, store: RootStore): Promise<void> {
  await sweepRecords(store.groups, host.clock, async ({ value: { id, claim } }) => {
    if (!claim) return;
    await settleGroup(host, store, id).catch((error: unknown) => {
      host.log.info(
        { group: id, error },
        'a group that is half made or half deleted stays for now',
      );
    });
  });
}

/** Clone parents that a server left which died between a deletion and what that set free, and lost queue items. */
async function sweepHidden(host: ReclaimHost, store: RootStore): Promise<void> {
  for await (const key of hiddenKeys(store)) {
    const stays = await reclaim(host, store, key);
    if (stays?.children === 1) await host.backlog.add(store, stays.key);
  }
}

/** Looks at every hidden clone parent when a root is opened: what this server left when it died. */
export async function reclaimAll(host: ReclaimHost, store: RootStore): Promise<void> {
  for await (const key of hiddenKeys(store)) await reclaim(host, store, key);
}

async function* hiddenKeys(store: RootStore): AsyncGenerator<FileKey> {
  for (const shard of await store.hidden.shards())
    for (const key of (await store.hidden.ids(shard)).keys()) yield key as FileKey;
}

async function sweepTemporary(store: RootStore, clock: Clock): Promise<void> {
  const directory = store.layout.temporary;
  for (const name of await store.files.list(directory)) {
    const path = join(directory, name);
    const stat = await store.files.stat(path).catch(() => undefined);
    if (stat && clock.now() - stat.modifiedMs > temporaryMs)
      await store.files.unlink(path).catch(() => undefined);
  }
}

interface Deletable {
  readonly state: string;
  readonly deletedMs?: number | undefined;
}

/** Forgets what was deleted long ago; `living` gets all else. */
async function sweepRecords<T extends Deletable>(
  records: Records<T>,
  clock: Clock,
  living: (held: Held<T>) => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const old = ({ value }: Held<T>) =>
    value.state === 'deleted' && clock.now() - (value.deletedMs ?? clock.now()) > keepDeletedMs;
  for (const shard of await records.shards())
    for (const id of (await records.ids(shard)).keys()) {
      const held = await records.read(id).catch(() => undefined);
      if (held) await (old(held) ? records.forget(held) : living(held));
    }
}
