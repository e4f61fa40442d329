import { describe, expect, test } from 'vitest';
import { fleetReport, fleetText, isFleetHealthy } from '../../../../src/model/audit/fleet.ts';
import { beat } from '../../../../src/service/maintenance.ts';
import { readFleet } from '../../../../src/service/forest/fleet.ts';
import { serverOn, testRoot } from '../../../support/memory/driver.ts';
import { forest, type Forest } from '../../../support/memory/forest.ts';

const fleet = ({ gpfs, store }: Forest) =>
  readFleet({ open: () => Promise.resolve(store), clock: gpfs.clock }, testRoot);

const hostile = 'over\u001b[2J the\nscreen';

describe('the servers of a root', () => {
  test('say what they found, and one that is silent is named with what to do', async () => {
    const world = await forest();
    const b1 = serverOn(world.gpfs, 'b1');
    await b1.roots.all();
    await beat(b1.host, [{ what: 'trim', says: 'volume v cannot be trimmed' }]);
    world.gpfs.clock.tick(600_000);
    await beat(world.driver.host, []);
    const root = await fleet(world);
    expect(root.nodes).toMatchObject([
      { node: 'a1', sign: 'living', problems: [], attached: 0, maxVolumes: 16 },
      { node: 'b1', sign: 'silent', problems: [{ says: 'volume v cannot be trimmed' }] },
    ]);
    expect(isFleetHealthy([root])).toBe(false);
    const lines = fleetText(root, world.gpfs.clock.now()).join('\n');
    expect(lines).toMatch(/2 nodes, 1 silent$/m);
    expect(lines).toMatch(/^ {2}b1 +0\.0\.0-test +10m +10m +0\/16 +SILENT$/m);
    expect(lines).toContain('b1: trim: volume v cannot be trimmed');
  });

  test('that are older, or have only started, have found nothing that can be read', async () => {
    const world = await forest();
    expect((await fleet(world)).nodes[0]).toMatchObject({ problems: undefined });
    await beat(world.driver.host, []);
    expect((await fleet(world)).nodes[0]).toMatchObject({ problems: [] });
    // What an earlier process of the node found says nothing about this one.
    const [again] = await serverOn(world.gpfs, 'a1').roots.all();
    expect(again).toBeDefined();
    expect((await fleet(world)).nodes[0]).toMatchObject({ problems: undefined });
  });

  test('write again only what has changed, and a heartbeat passes where that is refused', async () => {
    const { gpfs, driver, store } = await forest();
    await beat(driver.host, []);
    const first = await store.nodes.health('a1');
    gpfs.clock.tick(30_000);
    await beat(driver.host, []);
    expect(await store.nodes.health('a1')).toEqual(first);
    gpfs.set({ full: true });
    await beat(driver.host, [{ what: 'spare files', says: 'no space' }]);
    expect(await store.nodes.health('a1')).toEqual(first);
    gpfs.set({ full: false });
    await beat(driver.host, [{ what: 'spare files', says: 'no space' }]);
    expect(await store.nodes.health('a1')).toMatchObject({ problems: [{ says: 'no space' }] });
  });

  test('cannot move the cursor of a terminal, and a damaged file of one hides no other', async () => {
    const world = await forest();
    await beat(world.driver.host, [{ what: 'trim', says: hostile }]);
    const text = fleetText(await fleet(world), world.gpfs.clock.now()).join('\n');
    expect(text).toContain('over\\u{1b}[2J the\\u{a}screen');
    const path = world.store.layout.health('a1');
    await world.gpfs.files.unlink(path);
    await world.gpfs.files.createDurable(path, '{"format":1,"problems":7}', 0o640);
    expect((await fleet(world)).nodes[0]).toMatchObject({ node: 'a1', problems: undefined });
  });

  test('of a root that is away are not known, and the report says why', async () => {
    const world = await forest();
    const open = () => Promise.reject(new Error('not mounted'));
    const root = await readFleet({ open, clock: world.gpfs.clock }, '/gpfs/away');
    expect(fleetText(root, 0)).toEqual(['/gpfs/away: not mounted']);
    const report = { on: { node: 'a1', version: '1' }, healthy: false, roots: [root] };
    expect(fleetReport.parse(JSON.parse(JSON.stringify(report))).roots[0]?.why).toBe('not mounted');
  });
});
