import { readFleet } from '../../../../src/service/forest/fleet.ts';
import { readForest } from '../../../../src/service/forest/forest.ts';
import { beat } from '../../../../src/service/maintenance.ts';
import { packFile, type ReportData } from '../../../../src/model/report/data.ts';
import {
  clusterWithRoot,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../memory/driver.ts';
import { attach } from '../../memory/world.ts';
import { fileOf, living } from '../../memory/truth.ts';

const day = 86_400_000;
const GiB = 1n << 30n;

const claims = ['shop/orders', 'shop/catalog', 'mail/store', 'ci/cache', 'lab/results'] as const;

const named = (kind: string, name: string) => {
  const [namespace = '', plain = ''] = name.split('/');
  return {
    [`csi.storage.k8s.io/${kind}/namespace`]: namespace,
    [`csi.storage.k8s.io/${kind}/name`]: plain,
  };
};

/** A year of five claims with nightly snapshots, of which some are deleted, on the simulator: what a report shows. */
export async function playYear(): Promise<ReportData> {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs, 'node1', { compaction: { paused: true } });
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the driver found no root on the simulator');
  const ids = new Map<string, string>();
  for (const [n, claim] of claims.entries()) {
    gpfs.clock.tick(60 * day);
    const name = uuidName('pvc', n);
    const range = { requiredBytes: 100n * GiB, limitBytes: 0n };
    const volume = await driver.volumes.create(
      spec(name, { range, parameters: named('pvc', claim) }),
    );
    ids.set(claim, volume.id);
    await driver.attachments.publish(attach(volume.id, 'node1'));
    await nights({ gpfs, driver }, { claim, name, id: volume.id, seed: n });
  }
  const source = from('volume', { id: ids.get('shop/orders') ?? '' });
  const parameters = named('pvc', 'lab/orders-copy');
  const range = { requiredBytes: 100n * GiB, limitBytes: 0n };
  await driver.volumes.create(spec(uuidName('pvc', 77), { range, source, parameters }));
  await beat(driver.host);
  const { nodes, queue, probe } = await readFleet(
    { open: () => Promise.resolve(store), clock: gpfs.clock },
    testRoot,
  );
  const onUnreadable = (error: Error) => {
    throw error;
  };
  const { total, available } = await gpfs.files.space(testRoot);
  return {
    madeMs: gpfs.clock.now(),
    node: 'node1',
    version: '0.1.0',
    checks: [],
    roots: [
      {
        path: '/gpfs/fs1/csi',
        id: store.id,
        totalBytes: Number(total),
        freeBytes: Number(available),
        checks: [
          { name: 'root', status: 'ok', says: `root.json names root ${store.id} (format 1)` },
        ],
        fleet: { nodes, queue, probe },
        problems: [],
        files: await readForest(store, packFile, { onUnreadable }),
      },
    ],
  };
}

/** The name that the provisioner or the snapshotter gives the object of this number. */
const uuidName = (kind: string, n: number): string =>
  `${kind}-${(0x1a2b3c4d + n * 0x01030507).toString(16)}-0c1d-4e2f-8a3b-${String(n).padStart(12, '0')}`;

async function nights(
  { gpfs, driver }: { readonly gpfs: Cluster; readonly driver: ReturnType<typeof serverOn> },
  {
    claim,
    name,
    id,
    seed,
  }: { readonly claim: string; readonly name: string; readonly id: string; readonly seed: number },
): Promise<void> {
  for (let night = 0; night < 8; night++) {
    const first = (night * 97 + seed * 31) % 9000;
    const image = fileOf(gpfs, living(gpfs).get(`volumes/${name}`) ?? '');
    for (let block = first; block < first + 40 + seed * 260; block++)
      gpfs.write(image, block, claim);
    const parameters = new Map(Object.entries(named('volumesnapshot', `${claim}-${night}`)));
    const cut = { ...snap(uuidName('snapshot', seed * 10 + night), { id }), parameters };
    const made = await driver.snapshots.create(cut);
    gpfs.clock.tick(day);
    if (night % 3 !== 0) await driver.snapshots.remove(made.id);
  }
}
