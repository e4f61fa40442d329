import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DriverError } from '../../src/model/fault.ts';
import { imageKeyOf, sectorWorld, type SectorWorld } from '../support/memory/sector-world.ts';
import { from, snap, spec, tend, testRoot } from '../support/memory/driver.ts';
import { attach } from '../support/memory/world.ts';

// Whatever is made from a disk for sectors of 512 bytes is such a disk: a record that forgets it gives a volume
// that nobody can read, long after its source is gone.

const ways = {
  thin: {},
  thick: { provisioning: 'thick' },
  elsewhere: { root: `${testRoot}-2`, crossRootCopy: 'true' },
} as const;

interface Step {
  readonly do: keyof typeof steps;
  readonly at: number;
  readonly way: keyof typeof ways;
}

const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % list.length];

async function make(world: SectorWorld, kind: 'volume' | 'snapshot', { at, way }: Step) {
  const id = pick(kind === 'volume' ? world.volumes : world.snapshots, at);
  if (id === undefined) return false;
  const options = { source: from(kind, { id }), range: undefined, parameters: ways[way] };
  const made = await world.driver.volumes.create(spec(world.name(), options));
  world.volumes.push(made.id);
  return true;
}

/** Does something with one of the list, where there is one. */
const on =
  (list: 'volumes' | 'snapshots', work: (world: SectorWorld, id: string) => Promise<unknown>) =>
  async (world: SectorWorld, { at }: Step): Promise<boolean> => {
    const id = pick(world[list], at);
    if (id !== undefined) await work(world, id);
    return id !== undefined;
  };

const drop = (list: string[], id: string) => list.splice(list.indexOf(id), 1);

const steps = {
  clone: (world: SectorWorld, step: Step) => make(world, 'volume', step),
  restore: (world: SectorWorld, step: Step) => make(world, 'snapshot', step),
  cut: on('volumes', async (world, id) => {
    const { id: made } = await world.driver.snapshots.create(snap(world.name(), { id }));
    world.snapshots.push(made);
  }),
  'delete volume': on('volumes', async (world, id) => {
    await world.driver.volumes.remove(id);
    drop(world.volumes, id);
  }),
  'delete snapshot': on('snapshots', async (world, id) => {
    await world.driver.snapshots.remove(id);
    drop(world.snapshots, id);
  }),
  use: on('volumes', async ({ driver: { attachments } }, id) => {
    await attachments.publish(attach(id));
    await attachments.unpublish(id, 'a1');
  }),
  'cut a lost node off': on('volumes', async (world, id) => {
    const { attachments, host } = world.driver;
    const { store, key } = await imageKeyOf(world, id);
    await store.marks.set(key, { ...host.self, node: 'lost1', machineId: 'machine-lost1' });
    await attachments.publish(attach(id));
    await attachments.unpublish(id, 'a1');
    expect((await imageKeyOf(world, id)).key).not.toBe(key);
  }),
  migrate: on('volumes', (world, id) => world.migrate(id)),
  grow: on('volumes', async ({ driver }, id) => {
    const { bytes } = await driver.volumes.get(id);
    const range = { requiredBytes: bytes + (16n << 20n), limitBytes: 0n };
    await driver.volumes.expand(id, range, undefined);
  }),
  retype: on('volumes', ({ driver }, id) =>
    driver.volumes.modify(id, new Map([['dataReplicas', '2']])),
  ),
  tend: async ({ driver }: SectorWorld) => {
    await tend(driver);
    return true;
  },
};

const anyStep: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(...(Object.keys(steps) as (keyof typeof steps)[])),
  at: fc.nat(20),
  way: fc.constantFrom(...(Object.keys(ways) as (keyof typeof ways)[])),
});

test('all that comes from a disk for sectors of 512 bytes has them in its record', async () => {
  const done = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 8, maxLength: 24 }), async (list) => {
      const world = await sectorWorld(512);
      for (const step of list) {
        const worked = await steps[step.do](world, step).catch((error: unknown) => {
          // What the driver refuses in this state; whatever else fails is a defect.
          if (error instanceof DriverError) return false;
          throw error;
        });
        if (worked) done.set(step.do, (done.get(step.do) ?? 0) + 1);
        expect(await world.otherSectors()).toEqual([]);
      }
    }),
    { numRuns: 40 },
  );
  expect([...done.keys()].sort()).toEqual(Object.keys(steps).sort());
});

test('and nothing else does', async () => {
  const world = await sectorWorld(4096);
  const [id = ''] = world.volumes;
  await world.driver.snapshots.create(snap('cut', { id }));
  await world.driver.volumes.create(
    spec('clone', { source: from('volume', { id }), range: undefined }),
  );
  expect(await world.otherSectors(undefined)).toEqual([]);
});
