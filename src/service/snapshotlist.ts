import { parseId, publicId } from '../model/ids.ts';
import { positionOf } from '../model/token.ts';
import type { Page, Paged, Snapshot } from '../model/volume.ts';
import type { RootStore } from '../store/root.ts';
import type { SnapshotRecord } from '../store/schema/parents.ts';
import type { Snapshots } from './api.ts';
import { removeSnapshot } from './deleting.ts';
import type { ServiceHost } from './host.ts';
import { listPage } from './listing.ts';
import { snapshotMissing } from './settle.ts';
import { createSnapshot } from './snapshots.ts';

/** Snapshots, as the controller serves them. */
export function snapshotsOf(host: ServiceHost): Snapshots {
  const get = async (id: string): Promise<Snapshot | undefined> => {
    const place = await host.roots.byId(id);
    const held = place && (await place.store.snapshots.read(place.local));
    return place && held ? shownReady(place.store, held.value) : undefined;
  };
  return {
    create: async (spec) => {
      const { store, record } = await createSnapshot(host, spec);
      return shown(store, record);
    },
    remove: async (id) => {
      const place = await host.roots.byId(id);
      if (place) await removeSnapshot(host, place);
    },
    get: async (id) => {
      const snapshot = await get(id);
      if (snapshot) return snapshot;
      throw snapshotMissing(id);
    },
    list: async (filter, page) => {
      if (filter.id === '') return listAll(host, filter.sourceVolumeId, page);
      positionOf('snapshots', page.token);
      const found = page.token === '' ? await get(filter.id) : undefined;
      return { items: found && isOf(found, filter.sourceVolumeId) ? [found] : [], next: '' };
    },
  };
}

const isOf = ({ sourceVolumeId }: Snapshot, wanted: string): boolean =>
  wanted === '' || sourceVolumeId === wanted;

async function listAll(host: ServiceHost, source: string, page: Page): Promise<Paged<Snapshot>> {
  const stores = await host.roots.all();
  const wanted = source === '' ? undefined : parseId(source);
  const entry = (store: RootStore, record: SnapshotRecord) => {
    const snapshot = shownReady(store, record);
    return snapshot && isOf(snapshot, source) ? snapshot : undefined;
  };
  return listPage(
    { list: 'snapshots', records: (store) => store.snapshots, entry, log: host.log },
    // A volume that moved has snapshots in each root that it was in.
    source !== '' && !wanted ? [] : stores,
    page,
  );
}

const shown = (store: RootStore, record: SnapshotRecord): Snapshot => ({
  id: publicId(store.id, record.id),
  sourceVolumeId: record.handle ?? publicId(store.id, record.volume),
  bytes: record.bytes,
  createdMs: record.createdMs,
  ready: true,
});

// One that is being cut is not listed: nobody could use it, and it may yet be taken back.
const shownReady = (store: RootStore, record: SnapshotRecord): Snapshot | undefined =>
  record.state === 'ready' ? shown(store, record) : undefined;
