import { describe, expect, test } from 'vitest';
import type { AccessMode } from '../../../../src/model/capability.ts';
import { localIdOf, type FileKey } from '../../../../src/model/ids.ts';
import { serverOn, block, clusterWithRoot, mounted, spec } from '../../../support/memory/driver.ts';
import { attach } from '../../../support/memory/world.ts';
import { living } from '../../../support/memory/truth.ts';

const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;

/** Two nodes that take two volumes each, and a volume. */
async function setup() {
  const gpfs = await clusterWithRoot();
  const a1 = serverOn(gpfs, 'a1', { maxVolumes: 2 });
  const b1 = serverOn(gpfs.server('b1'), 'b1', { maxVolumes: 2 });
  const [store] = await a1.roots.all();
  await b1.roots.all();
  const { id } = await a1.volumes.create(spec('v'));
  const nodes = async () => (await a1.volumes.get(id)).publishedNodes;
  if (!store) throw new Error('the root is not there');
  return { gpfs, a1, b1, id, nodes, store, attachments: a1.attachments };
}

const multi: AccessMode = 'MULTI_NODE_MULTI_WRITER';

describe('publish', () => {
  test('the same again is the same, and changes nothing', async () => {
    const { attachments, id, nodes, gpfs } = await setup();
    await attachments.publish(attach(id));
    gpfs.resetCounts();
    await attachments.publish(attach(id));
    expect(gpfs.counts.fsyncs).toBe(0);
    expect(await nodes()).toEqual(['a1']);
  });

  test.each([
    ['another capability', { capability: mounted() }],
    ['another mode', { capability: block('SINGLE_NODE_MULTI_WRITER') }],
    ['another readonly flag', { readonly: true }],
  ])('to the same node with %s is refused', async (_, other) => {
    const { attachments, id } = await setup();
    await attachments.publish(attach(id));
    await expect(attachments.publish({ ...attach(id), ...other })).rejects.toEqual(
      fault('used-differently'),
    );
  });

  test.each([block(), mounted(), block('SINGLE_NODE_READER_ONLY')])(
    'to a second node is refused, naming the first: %j',
    async (capability) => {
      const { attachments, id, nodes } = await setup();
      await attachments.publish(attach(id, 'a1', capability));
      const second = attachments.publish(attach(id, 'b1', capability));
      await expect(second).rejects.toEqual(fault('in-use'));
      await expect(second).rejects.toThrow('node a1');
      expect(await nodes()).toEqual(['a1']);
    },
  );

  test('of a block volume for several nodes to two nodes is fine', async () => {
    const { attachments, id, nodes } = await setup();
    await attachments.publish(attach(id, 'a1', block(multi)));
    await attachments.publish(attach(id, 'b1', block(multi)));
    expect(await nodes()).toEqual(['a1', 'b1']);
    await expect(attachments.publish(attach(id, 'c1', block(multi)))).rejects.toEqual(
      fault('node-missing'),
    );
  });

  test('for one writer on several nodes: a second writer is refused, a reader is not', async () => {
    const { attachments, id } = await setup();
    const capability = block('MULTI_NODE_SINGLE_WRITER');
    await attachments.publish(attach(id, 'a1', capability));
    const second = attach(id, 'b1', capability);
    await expect(attachments.publish(second)).rejects.toEqual(fault('in-use'));
    await attachments.publish({ ...second, readonly: true });
  });

  const rox = 'MULTI_NODE_READER_ONLY';

  test('of a file system that many read to two nodes is fine, to a writer beside them is not', async () => {
    const { attachments, id, nodes } = await setup();
    await attachments.publish(attach(id, 'a1', mounted('ext4', rox)));
    await attachments.publish(attach(id, 'b1', mounted('ext4', rox)));
    expect(await nodes()).toEqual(['a1', 'b1']);
    await attachments.unpublish(id, 'b1');
    for (const capability of [mounted(), block(), block(multi), block(rox)])
      await expect(attachments.publish(attach(id, 'b1', capability))).rejects.toEqual(
        fault('in-use'),
      );
    expect(await nodes()).toEqual(['a1']);
  });

  test.each([mounted(), block(multi), block(rox)])(
    'of a file system that many read is refused beside %j',
    async (capability) => {
      const { attachments, id } = await setup();
      await attachments.publish(attach(id, 'a1', capability));
      const second = attachments.publish(attach(id, 'b1', mounted('ext4', rox)));
      await expect(second).rejects.toEqual(fault('in-use'));
      await expect(second).rejects.toThrow('node a1');
    },
  );

  test('for writing forgets that the journal was replayed, for reading does not', async () => {
    const { attachments, id, store } = await setup();
    const journal = async () => (await store.volumes.read('v'))?.value.journal?.state;
    await store.volumes.update('v', (record) => ({
      ...record,
      journal: { image: record.image?.key ?? ('' as FileKey), state: 'clean', node: 'a1' },
    }));
    await attachments.publish(attach(id, 'a1', mounted('ext4', rox)));
    await attachments.unpublish(id, 'a1');
    expect(await journal()).toBe('clean');
    await attachments.publish(attach(id, 'a1', mounted()));
    expect(await journal()).toBeUndefined();
  });

  test('of a file system for writing to several nodes is refused', async () => {
    const { attachments, id } = await setup();
    const work = attachments.publish(attach(id, 'a1', mounted('ext4', multi)));
    await expect(work).rejects.toEqual(fault('invalid-request'));
  });

  test('to a node that nobody knows, or of an unknown volume, is refused', async () => {
    const { attachments, id, store } = await setup();
    for (const node of ['c1', '../a1', ''])
      await expect(attachments.publish(attach(id, node))).rejects.toEqual(fault('node-missing'));
    for (const unknown of [`${store.id}.w`, 'nonsense', ''])
      await expect(attachments.publish(attach(unknown))).rejects.toEqual(fault('volume-missing'));
  });

  test('over the limit of a node is refused, until one is detached', async () => {
    const { a1, attachments, id } = await setup();
    const others = [await a1.volumes.create(spec('w')), await a1.volumes.create(spec('x'))];
    const [w = { id: '' }, x = { id: '' }] = others;
    await attachments.publish(attach(id));
    await attachments.publish(attach(w.id));
    await expect(attachments.publish(attach(x.id))).rejects.toEqual(fault('limit-reached'));
    await attachments.publish(attach(w.id));
    await attachments.publish(attach(x.id, 'b1'));
    await attachments.unpublish(x.id, 'b1');
    await attachments.unpublish(id, 'a1');
    await attachments.publish(attach(x.id));
  });

  test('what a crash left in the index of a node does not count', async () => {
    const { attachments, store, id } = await setup();
    for (const name of ['gone1', 'gone2', 'gone3']) await store.attached.add('a1', name);
    await attachments.publish(attach(id));
  });
});

describe('unpublish', () => {
  test('without a node is from all of them', async () => {
    const { attachments, id, nodes } = await setup();
    for (const node of ['a1', 'b1']) await attachments.publish(attach(id, node, block(multi)));
    await attachments.unpublish(id, 'a1');
    expect(await nodes()).toEqual(['b1']);
    await attachments.publish(attach(id, 'a1', block(multi)));
    await attachments.unpublish(id, '');
    expect(await nodes()).toEqual([]);
  });

  test('of what is not published, not there or unknown succeeds', async () => {
    const { a1, attachments, id, store } = await setup();
    await attachments.unpublish(id, 'a1');
    await attachments.unpublish(id, 'nobody');
    for (const unknown of [`${store.id}.w`, 'nonsense', ''])
      await attachments.unpublish(unknown, 'a1');
    await a1.volumes.remove(id);
    await attachments.unpublish(id, '');
  });
});

test('an attached volume is not deleted; its snapshots are taken and its clones made', async () => {
  const { a1, attachments, id, gpfs } = await setup();
  await attachments.publish(attach(id));
  await expect(a1.volumes.remove(id)).rejects.toEqual(fault('in-use'));
  expect(living(gpfs).has(`volumes/${localIdOf('v')}`)).toBe(true);
});
