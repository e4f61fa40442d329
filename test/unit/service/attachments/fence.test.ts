import { describe, expect, test } from 'vitest';
import type { AccessMode } from '../../../../src/model/capability.ts';
import {
  block,
  dataFiles,
  mounted,
  serverOn,
  tend,
  from,
  snap,
  spec,
  type Cluster,
} from '../../../support/memory/driver.ts';
import { fenceWorld, isMarked } from '../../../support/memory/fencing.ts';
import {
  contents,
  expectSound,
  fileOf,
  recordsIn,
  writeVolume,
} from '../../../support/memory/truth.ts';

const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;

const multi: AccessMode = 'MULTI_NODE_MULTI_WRITER';

/** A server of this name starts, on the same machine unless said. */
const starts = (gpfs: Cluster, node: string, boot: string) =>
  serverOn(gpfs.server(node), node, { boot }).roots.all();

describe('whose mark', () => {
  test('of another node fences, though that node lives', async () => {
    const { mark, publish, isFenced, gpfs, key } = await fenceWorld();
    await mark('b1');
    await publish();
    expect(isFenced()).toBe(true);
    expect(isMarked(gpfs, 'v')).toBe(false);
    expect(key()).toMatch(/^v\./);
    expectSound(gpfs);
    expect(contents(gpfs)).toEqual({ 'volumes/v': 'v' });
  });

  test('its own never fences', async () => {
    const { mark, publish, isFenced } = await fenceWorld();
    await mark('a1');
    await publish();
    expect(isFenced()).toBe(false);
  });

  test('of a node that nobody knows any more fences', async () => {
    const { mark, publish, isFenced } = await fenceWorld();
    await mark('c1');
    await publish();
    expect(isFenced()).toBe(true);
  });

  test('of several nodes fences once, whichever they are', async () => {
    const { mark, publish, isFenced, gpfs } = await fenceWorld();
    for (const node of ['a1', 'b1', 'c1']) await mark(node);
    gpfs.resetCounts();
    await publish();
    expect(isFenced()).toBe(true);
    expect([...gpfs.total.commands]).toEqual([
      ['mmclone snap', 1],
      ['mmclone copy', 1],
    ]);
  });

  test.each([block(), block('SINGLE_NODE_READER_ONLY'), mounted(), mounted('xfs')])(
    'fences for %j',
    async (capability) => {
      const { mark, publish, isFenced } = await fenceWorld();
      await mark('b1');
      await publish('a1', capability);
      expect(isFenced()).toBe(true);
    },
  );
});

describe('shared block', () => {
  test('is never fenced', async () => {
    const { mark, publish, isFenced, gpfs } = await fenceWorld();
    await mark('b1');
    await publish('a1', block(multi));
    await publish('b1', block(multi));
    expect(isFenced()).toBe(false);
    expect(isMarked(gpfs, 'v')).toBe(true);
  });

  test('that a node then wants for itself is fenced from those who have not let go', async () => {
    const { mark, publish, isFenced, a1, id } = await fenceWorld();
    for (const node of ['a1', 'b1']) {
      await publish(node, block(multi));
      await mark(node);
    }
    await a1.attachments.unpublish(id, 'b1');
    await expect(publish('b1')).rejects.toEqual(fault('in-use'));
    expect(isFenced()).toBe(false);
    await a1.attachments.unpublish(id, 'a1');
    await publish('a1');
    expect(isFenced()).toBe(true);
  });
});

describe('which generation', () => {
  test('a mark of an older one never fences again', async () => {
    const { mark, publish, key, a1, id } = await fenceWorld();
    await mark('b1');
    await publish();
    const second = key();
    await a1.attachments.unpublish(id, 'a1');
    await publish();
    await a1.attachments.unpublish(id, 'a1');
    await publish('b1');
    expect(key()).toBe(second);
  });

  test('the node that was cut off is not believed to have the new one', async () => {
    const { mark, publish, key, a1, id, gpfs } = await fenceWorld();
    await mark('b1');
    await publish();
    await mark('a1');
    await a1.attachments.unpublish(id, 'a1');
    const second = key();
    await publish('b1');
    expect(key()).not.toBe(second);
    expectSound(gpfs);
  });
});

describe('a reboot', () => {
  test('of the machine makes its mark dead; a start of the driver alone does not', async () => {
    for (const [boot, fenced] of [
      ['boot-1', true],
      ['boot-2', false],
    ] as const) {
      const { gpfs, mark, publish, isFenced } = await fenceWorld();
      await mark('b1');
      await starts(gpfs, 'b1', boot);
      await publish();
      expect([boot, isFenced()]).toEqual([boot, fenced]);
    }
  });
});

describe('a node replaced under the same name', () => {
  test('does not answer for the machine before it: its mark fences, whatever has booted since', async () => {
    const { gpfs, mark, publish, isFenced } = await fenceWorld();
    await mark('b1', { machineId: 'machine-before', bootId: 'boot-0' });
    await starts(gpfs, 'b1', 'boot-2');
    await publish('a1');
    expect(isFenced()).toBe(true);
  });

  test('does not take that mark for its own either', async () => {
    const { mark, publish, isFenced } = await fenceWorld();
    await mark('b1', { machineId: 'machine-before' });
    await publish('b1');
    expect(isFenced()).toBe(true);
  });
});

describe('a node that lives on', () => {
  test('writes to what nobody reads; the volume has what it wrote before, and the tree is whole', async () => {
    const { gpfs, mark, publish, a1, id, key } = await fenceWorld();
    const cut = await a1.snapshots.create(snap('s', { id }));
    const old = gpfs.open(fileOf(gpfs, key()));
    old.write(1, 'before');
    await mark('b1');
    await publish();
    old.write(0, 'late');
    old.write(1, 'late');
    const now = fileOf(gpfs, key());
    expect([gpfs.readBlock(now, 0), gpfs.readBlock(now, 1)]).toEqual(['v', 'before']);
    gpfs.write(now, 1, 'new');
    expect([old.read(0), old.read(1)]).toEqual(['late', 'late']);
    expect(contents(gpfs)).toEqual({ 'volumes/v': 'v', 'snapshots/s': 'v' });

    await a1.snapshots.remove(cut.id);
    await a1.attachments.unpublish(id, 'a1');
    await a1.volumes.remove(id);
    await tend(a1);
    // GPFS keeps the parents until the old node lets go of its file without a name.
    expect(dataFiles(gpfs)).toHaveLength(2);
    old.close();
    // It is asked with growing pauses, an hour at most.
    gpfs.clock.tick(2 * 3_600_000);
    await tend(a1);
    expect(dataFiles(gpfs)).toEqual([]);
    expectSound(gpfs);
  });

  test('nothing but the parent stays, which goes like any tombstone', async () => {
    const { gpfs, mark, publish, store } = await fenceWorld();
    await mark('b1');
    await publish();
    const [parent, ...others] = recordsIn(gpfs, 'hidden');
    expect([parent?.state, others]).toEqual(['waiting', []]);
    expect((await store.hidden.read(parent?.id ?? ''))?.value.why).toBe('tombstone');
    expect(dataFiles(gpfs)).toHaveLength(2);
  });
});

describe('the volume afterwards', () => {
  test('a clone is made of what is there then, not of the parent', async () => {
    const { gpfs, mark, publish, a1, id } = await fenceWorld();
    await mark('b1');
    await publish();
    writeVolume(gpfs, 'v', 'newer');
    await a1.volumes.create(spec('c', { source: from('volume', { id }), range: undefined }));
    expect(contents(gpfs)['volumes/c']).toBe('newer');
  });

  test.each([
    { kind: 'empty' as const },
    { kind: 'formatting' as const, fsType: 'ext4' },
    { kind: 'filesystem' as const, fsType: 'xfs' },
    { kind: 'unknown' as const },
  ])('what is known of its content stays known: %j', async (content) => {
    const { mark, publish, store } = await fenceWorld();
    await store.volumes.update('v', (now) => ({ ...now, content }));
    await mark('b1');
    await publish();
    const now = (await store.volumes.read('v'))?.value;
    expect(now).toMatchObject({ content, unchanged: false, claim: null });
    expect((await store.hidden.read(now?.parent ?? ''))?.value.content).toEqual(content);
  });

  test('it has its mode, its attributes and its size', async () => {
    const { gpfs, a1, mark, publish, key, id } = await fenceWorld();
    const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
    await a1.volumes.expand(id, range, undefined);
    await mark('b1');
    await publish();
    expect(await gpfs.files.stat(fileOf(gpfs, key()))).toMatchObject({
      mode: 0o660,
      size: 128n << 20n,
    });
  });
});
