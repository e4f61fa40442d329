import { publicId, type FileKey } from '../../../src/model/ids.ts';
import type { SectorBytes } from '../../../src/model/sectors.ts';
import { importImage } from '../../../src/service/images/images.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { migrateVolume } from '../../../src/service/migrate/migrate.ts';
import type { Records } from '../../../src/store/records.ts';
import type { RootStore } from '../../../src/store/root.ts';
import { clusterWithRoot, serverOn, spec, testRoot } from './driver.ts';

const other = `${testRoot}-2`;

/** Two roots of one cluster, in which everything comes from one image. */
export interface SectorWorld {
  readonly driver: Driver;
  /** Ids of all objects of users. */
  readonly volumes: string[];
  readonly snapshots: string[];
  /** A name that was never used. */
  name(): string;
  /** Moves a volume to the root that it is not in. */
  migrate(id: string): Promise<unknown>;
  /** Records whose sector size is not `wanted`; by default, not that of the image. */
  otherSectors(wanted?: number): Promise<readonly string[]>;
}

/** A world whose image was made for sectors of this size, with one volume of it. */
export async function sectorWorld(bytes: SectorBytes): Promise<SectorWorld> {
  const gpfs = await clusterWithRoot();
  await gpfs.files.makeDirectory(other, 0o750);
  const driver = serverOn(gpfs, 'a1', { roots: [testRoot, other] });
  const stores = await driver.roots.all();
  const [store] = stores;
  if (!store) throw new Error('no root');
  const image = await importImage(driver.host, store, {
    name: 'disk',
    format: 'raw',
    bytes: 64n << 20n,
    place: async (path, size) => {
      await store.files.createSparse(path, size, 0o640);
      return false;
    },
    sectorBytes: () => Promise.resolve(bytes),
  });
  const parameters = { image: 'disk' };
  const first = await driver.volumes.create(spec('first', { parameters, range: undefined }));
  let names = 0;
  return {
    driver,
    volumes: [first.id],
    snapshots: [publicId(store.id, image.id)],
    name: () => `n${(names += 1)}`,
    migrate: async (id) => {
      const place = await driver.roots.byId(id);
      const there = place?.store.layout.root === testRoot;
      return migrateVolume(driver.host, id, there ? other : testRoot);
    },
    otherSectors: async (...wanted) => {
      const expected = wanted.length === 0 ? bytes : wanted[0];
      const found = await Promise.all(stores.map(sectorsIn));
      return found.flat().flatMap(([name, size]) => (size === expected ? [] : [name]));
    },
  };
}

/** The root a volume is in, and the key of its image. */
export async function imageKeyOf(
  { driver }: SectorWorld,
  id: string,
): Promise<{ readonly store: RootStore; readonly key: FileKey }> {
  const place = await driver.roots.byId(id);
  const key = place && (await place.store.volumes.read(place.local))?.value.image?.key;
  if (!key) throw new Error(`volume ${id} has no image`);
  return { store: place.store, key };
}

type Sectors = readonly [string, number | undefined];

const sectorsIn = async ({ volumes, snapshots, hidden }: RootStore): Promise<readonly Sectors[]> =>
  (await Promise.all([living(volumes), living(snapshots), living(hidden)])).flat();

async function living<
  T extends { readonly state: string; readonly sectorBytes?: number | undefined },
>(records: Records<T>): Promise<readonly Sectors[]> {
  const found: Sectors[] = [];
  for (const shard of await records.shards())
    for (const id of (await records.ids(shard)).keys()) {
      const record = (await records.read(id))?.value;
      if (record && record.state !== 'deleted') found.push([id, record.sectorBytes]);
    }
  return found;
}
