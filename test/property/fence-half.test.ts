import { describe, expect, test } from 'vitest';
import { CommandFailed, type Run } from '../../src/run/run.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { recordFormat } from '../../src/store/schema/data.ts';
import { abilitiesFile } from '../../src/store/schema/root.ts';
import { block, dataFiles, serverOn, snap, tend } from '../support/memory/driver.ts';
import { fenceWorld, imageKey } from '../support/memory/fencing.ts';
import { quiet } from '../support/memory/world.ts';
import { contents, expectSound, fileOf, problemsIn, recordsIn } from '../support/memory/truth.ts';

const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;

describe('where GPFS takes no snapshot of an open file', () => {
  const said = 'may still be open on node b1, which has not unstaged it';

  test('and a probe found that out: refused before anything is done, naming the node', async () => {
    const { gpfs, store, mark, publish, isFenced } = await fenceWorld();
    const found = { node: 'a1', version: '0', probedMs: 0, abilities: { snapOpen: false } };
    const text = JSON.stringify(abilitiesFile.parse({ format: recordFormat, ...found }));
    await store.files.createDurable(store.layout.abilities, text, 0o640);
    await mark('b1');
    gpfs.resetCounts();
    await expect(publish()).rejects.toEqual(fault('in-use'));
    await expect(publish()).rejects.toThrow(said);
    expect([isFenced(), gpfs.total.commands.size]).toEqual([false, 0]);
    await store.marks.clear(imageKey(gpfs, 'v'), 'b1');
    await publish();
  });

  test('and no probe did: refused all the same, and nothing is left of the attempt', async () => {
    const { gpfs, mark, publish, a1, id, key } = await fenceWorld({
      personality: { snapOpen: false },
    });
    const old = gpfs.open(fileOf(gpfs, key()));
    await mark('b1');
    await expect(publish()).rejects.toEqual(fault('in-use'));
    await expect(publish()).rejects.toThrow(said);
    expect((await a1.volumes.get(id)).publishedNodes).toEqual([]);
    expectSound(gpfs);
    old.close();
    await publish();
    expectSound(gpfs);
  });
});

/** A run in which one program always fails. */
const failing =
  (run: Run, program: string, isBroken: () => boolean): Run =>
  (argv, kind, options) => {
    if (argv[0] !== program || !isBroken()) return run(argv, kind, options);
    const failure = { argv, exitCode: 1, stdout: '', stderr: `${program}: no such pool` };
    return Promise.reject(new CommandFailed(failure));
  };

describe('a fence that fails half way', () => {
  async function halfWay() {
    const world = await fenceWorld();
    const { gpfs, a1, store } = world;
    await store.volumes.update('v', (now) => ({ ...now, attributes: { pool: 'data' } }));
    const state = { broken: true };
    const view = gpfs.server('c1');
    const run = failing(view.run, 'mmchattr', () => state.broken);
    const c1 = serverOn({ ...view, run }, 'c1');
    await c1.roots.all();
    await world.mark('b1');
    return { ...world, c1, a1, mend: () => (state.broken = false) };
  }

  test('is gone on with at each attempt: the tree gets one level deeper, not one each time', async () => {
    const { gpfs, publish, c1, mend, isFenced } = await halfWay();
    for (let attempt = 0; attempt < 5; attempt++)
      await expect(publish('a1', block(), c1)).rejects.toThrow('mmchattr');
    expect(isFenced()).toBe(false);
    expect(recordsIn(gpfs, 'hidden')).toHaveLength(1);
    mend();
    await publish('a1', block(), c1);
    expectSound(gpfs);
    expect(recordsIn(gpfs, 'hidden')).toHaveLength(1);
    expect(dataFiles(gpfs)).toHaveLength(2);
    expect(contents(gpfs)).toEqual({ 'volumes/v': 'v' });
  });

  test('shows no node as attached, and any server goes on with it', async () => {
    const { gpfs, publish, c1, b1, id, isFenced } = await halfWay();
    await expect(publish('a1', block(), c1)).rejects.toThrow('mmchattr');
    expect((await b1.volumes.get(id)).publishedNodes).toEqual([]);
    await publish('a1', block(), b1);
    expect(isFenced()).toBe(true);
    expectSound(gpfs);
  });

  test('is gone on with while another server sleeps over the same, wherever that is', async () => {
    const asleep = async (n: number) => {
      const { gpfs, publish, a1, b1, c1, mend, isFenced } = await halfWay();
      await expect(publish('a1', block(), c1)).rejects.toThrow('mmchattr');
      mend();
      const view = gpfs.server('b1');
      const before = view.calls;
      const release = view.stallAt(n);
      const sleeper = publish('a1', block(), b1).catch(String);
      await quiet(gpfs);
      gpfs.clock.tick(goneAfterMs + 1);
      await publish('a1', block(), a1);
      const now = contents(gpfs);
      release();
      await sleeper;
      await quiet(gpfs);
      for (const server of [a1, b1]) await tend(server);
      await quiet(gpfs);
      expect([n, isFenced(), contents(gpfs)]).toEqual([n, true, now]);
      expect([n, problemsIn(gpfs)]).toEqual([n, []]);
      return view.calls - before;
    };
    let calls = 1;
    for (let n = 1; n <= calls; n++) calls = await asleep(n);
    expect(calls).toBeGreaterThan(40);
  });

  test('is undone when the node is not wanted any more, and the old image goes on', async () => {
    const { gpfs, publish, c1, b1, id, key, isFenced } = await halfWay();
    const old = gpfs.open(fileOf(gpfs, key()));
    await expect(publish('a1', block(), c1)).rejects.toThrow('mmchattr');
    old.write(0, 'still mine');
    await b1.attachments.unpublish(id, 'a1');
    expectSound(gpfs);
    expect(isFenced()).toBe(false);
    await publish('b1', block(), b1);
    expect(isFenced()).toBe(false);
    expect(contents(gpfs)).toEqual({ 'volumes/v': 'still mine' });
    old.close();
  });
});

describe('while a fence is under way', () => {
  test('everything else on the volume has to wait, and says so', async () => {
    const { gpfs, mark, publish, b1, id } = await fenceWorld();
    await mark('b1');
    gpfs.resetCounts();
    const release = gpfs.stallAt(45);
    const fence = publish();
    await quiet(gpfs);
    expect(recordsIn(gpfs, 'volumes')[0]?.claim).toMatchObject({ op: 'fence' });
    for (const work of [
      () => publish('b1', block(), b1),
      () => publish('a1', block(), b1),
      () => b1.attachments.unpublish(id, 'a1'),
      () => b1.attachments.unpublish(id, ''),
      () => b1.snapshots.create(snap('s', { id })),
      () => b1.volumes.remove(id),
    ])
      await expect(work()).rejects.toEqual(fault('busy'));
    release();
    await fence;
    expectSound(gpfs);
    await b1.attachments.unpublish(id, 'a1');
    await b1.volumes.remove(id);
    expect(dataFiles(gpfs)).toEqual([]);
  });
});
