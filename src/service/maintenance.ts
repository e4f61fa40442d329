import type { Clock } from '../run/clock.ts';
import { join } from 'node:path';
import type { Held, Records } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { ServiceHost } from './host.ts';
import { reclaim, reclaimAll } from './reclaim.ts';

/** How long the record of a deleted object stays: far longer than any server sleeps and wakes up again. */
const keepDeletedMs = 24 * 3_600_000;

/** How old a temporary file is when nobody can still be writing it. */
const temporaryMs = 3_600_000;

/** One round of what every server does now and then: show that it lives, give claims back, reclaim. */
export async function tend(host: ServiceHost): Promise<void> {
  for (const store of await host.roots.all()) {
    await store.nodes.beat(host.self.node);
  }
  await host.claims.retry();
  const refused = [...host.refused];
  host.refused.clear();
  for (const [key, store] of refused) await reclaim(host, store, key);
}

/**
 * Forgets records of objects deleted long ago, and temporary files that crashes left. A writer that slept
 * all that time had its temporary file before it, finds it gone, and writes nothing.
 */
export async function sweepRoot(host: ServiceHost, store: RootStore): Promise<void> {
  await sweepTemporary(store, host.clock);
  await sweepDeleted(store.volumes, host.clock);
  await sweepDeleted(store.snapshots, host.clock);
  // What a server left that died between a deletion and what it set free.
  await reclaimAll(host, store);
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

async function sweepDeleted<T extends Deletable>(records: Records<T>, clock: Clock): Promise<void> {
  const old = ({ value }: Held<T>) =>
    value.state === 'deleted' && clock.now() - (value.deletedMs ?? clock.now()) > keepDeletedMs;
  for (const shard of await records.shards())
    for (const id of (await records.ids(shard)).keys()) {
      const held = await records.read(id).catch(() => undefined);
      if (held && old(held)) await records.forget(held);
    }
}
