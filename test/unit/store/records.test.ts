import { z } from 'zod';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../../src/model/fault.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { textBlock } from '../../../src/simulator/memory/file-system.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import { badFilesOf } from '../../../src/store/json.ts';
import { recordsOf, type Records } from '../../../src/store/records.ts';

const schema = z.looseObject({ format: z.number(), text: z.string() });
type Value = z.output<typeof schema>;
const value = (text: string): Value => ({ format: 1, text });

const root = '/gpfs/fs1/csi-data/csi';
const layout = layoutOf(root);
const shard = layout.recordShard('volumes', 'x');

/** The same records as two servers see them. */
async function setup() {
  const gpfs = simulateGpfs();
  await gpfs.files.makeDirectory(root, 0o750);
  for (const directory of layout.fixed) await gpfs.files.makeDirectory(directory, 0o750);
  const on = (name: string): Records<Value> => {
    const { files, nonce } = gpfs.server(name);
    return recordsOf({
      files,
      unguarded: files,
      nonce,
      layout,
      kind: 'volumes' as const,
      schema,
      check: () => Promise.resolve(),
      bad: badFilesOf(root),
    });
  };
  return { gpfs, a: on('a1'), b: on('b1') };
}

const busy = expect.objectContaining({
  fault: expect.objectContaining({ kind: 'busy' }) as unknown,
}) as unknown;
const versions = async ({ files }: { files: ReturnType<typeof simulateGpfs>['files'] }) =>
  files.list(shard);

describe('compare and swap', () => {
  test('of two writers of a version exactly one wins, whatever the order of their calls', async () => {
    for (let stalled = 1; stalled <= 6; stalled++) {
      const { gpfs, a, b } = await setup();
      const held = await a.swap('x', undefined, value('first'));
      const release = gpfs.stallAt(stalled);
      const slow = a.swap('x', held, value('a')).then(
        () => 'won',
        (error: unknown) => (isFault(error, 'busy') ? 'lost' : error),
      );
      const fast = await b.swap('x', held, value('b')).then(
        () => 'won',
        (error: unknown) => (isFault(error, 'busy') ? 'lost' : error),
      );
      release();
      expect([await slow, fast].sort()).toEqual(['lost', 'won']);
      expect((await b.read('x'))?.value.text).toBe(fast === 'won' ? 'b' : 'a');
      expect(await versions(gpfs)).toEqual(['x.2']);
      expect(await gpfs.files.list(layout.temporary)).toEqual([]);
    }
  });

  test('a writer whose version was written, followed and swept has lost', async () => {
    for (let stalled = 1; stalled <= 2; stalled++) {
      const { gpfs, a, b } = await setup();
      let held = await a.swap('x', undefined, value('first'));
      const release = gpfs.stallAt(stalled);
      const slow = a.swap('x', held, value('stale'));
      for (const text of ['second', 'third', 'fourth']) held = await b.swap('x', held, value(text));
      release();
      await expect(slow).rejects.toEqual(busy);
      expect((await a.read('x'))?.value.text).toBe('fourth');
      expect(await versions(gpfs)).toEqual(['x.4']);
    }
  });

  test('what was forgotten is not brought back by a writer that slept', async () => {
    const { gpfs, a, b } = await setup();
    const held = await a.swap('x', undefined, value('first'));
    const second = await a.swap('x', held, value('second'));
    const release = gpfs.stallAt(2);
    const slow = a.swap('x', second, value('stale'));
    await b.forget(second);
    release();
    await expect(slow).rejects.toEqual(busy);
    expect(await a.read('x')).toBeUndefined();
    expect(await versions(gpfs)).toEqual([]);
  });

  test('a version that came after the one to forget stays', async () => {
    const { gpfs, a, b } = await setup();
    const held = await a.swap('x', undefined, value('first'));
    const release = gpfs.stallAt(1);
    const slow = a.forget(held);
    await b.swap('x', held, value('second'));
    release();
    await slow;
    expect((await a.read('x'))?.value.text).toBe('second');
  });

  test('an update is tried again until it wins, and given up when it says so', async () => {
    const { gpfs, a, b } = await setup();
    const held = await a.swap('x', undefined, value('first'));
    const release = gpfs.stallAt(3);
    const slow = a.update('x', (now) => ({ ...now, text: `${now.text} a` }));
    await b.swap('x', held, value('b'));
    release();
    expect((await slow).value.text).toBe('b a');
    const giveUp = () => {
      throw new Error('no more');
    };
    await expect(a.update('x', giveUp)).rejects.toThrow('no more');
    await expect(a.update('none', (now) => now)).rejects.toEqual(busy);
  });
});

describe('what is on disk', () => {
  const put = async (gpfs: ReturnType<typeof simulateGpfs>, name: string, text: string) => {
    await gpfs.files.makeDirectory(shard, 0o750);
    await gpfs.files.createDurable(`${shard}/${name}`, text, 0o640);
  };

  test('unknown fields of a record are kept', async () => {
    const { gpfs, a } = await setup();
    await put(gpfs, 'x.1', '{"format":1,"text":"old","later":{"deep":[1]}}');
    await a.update('x', (now) => ({ ...now, text: 'new' }));
    const text = gpfs.readBlock(`${shard}/x.2`, textBlock) ?? '';
    expect(JSON.parse(text)).toEqual({ format: 1, text: 'new', later: { deep: [1] } });
  });

  test.each([
    ['of a newer format', '{"format":2,"text":"later"}', 'upgrade the driver'],
    ['that is not JSON', '{"format":1,"te', 'it is not JSON'],
    ['that is empty', '', 'it is not JSON'],
    ['without a field', '{"format":1}', 'cannot be read'],
    ['that is no object', '[1]', 'cannot be read'],
  ])('a record %s is reported with its path and left as it is', async (_, text, why) => {
    const { gpfs, a } = await setup();
    await put(gpfs, 'x.7', text);
    await a.swap('y', undefined, value('fine'));
    await expect(a.read('x')).rejects.toEqual(
      expect.objectContaining({ fault: { kind: 'unreadable-record' } }),
    );
    await expect(a.read('x')).rejects.toThrow(`${shard}/x.7`);
    await expect(a.update('x', (now) => now)).rejects.toThrow(why);
    expect(gpfs.readBlock(`${shard}/x.7`, textBlock) ?? '').toBe(text);
    expect((await a.read('y'))?.value.text).toBe('fine');
  });

  test('ids in a shard come sorted, each with its highest version, and what is no record is passed over', async () => {
    const { gpfs, a } = await setup();
    for (const name of ['x.1', 'x.10', 'x.9', 'y.b.3', '.hidden', 'x.01', 'x.', 'a.2'])
      await put(gpfs, name, '');
    const [only = ''] = await a.shards();
    // `a` belongs in another shard, and no volume has an id with a dot.
    expect([...(await a.ids(only))]).toEqual([['x', 10]]);
    expect(await a.ids('fff')).toEqual(new Map());
  });
});
