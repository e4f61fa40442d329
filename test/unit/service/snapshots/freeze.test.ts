import { describe, expect, test } from 'vitest';
import type { Log } from '../../../../src/observe/log.ts';
import { whileFrozen } from '../../../../src/service/snapshots/freeze.ts';
import { clusterWithRoot, mounted, serverOn, spec } from '../../../support/memory/driver.ts';
import { attach } from '../../../support/memory/world.ts';

/** A volume whose class wants freezes, attached for writing, and what the server says about its snapshots. */
async function setup(freeze: 'auto' | 'never' = 'auto') {
  const gpfs = await clusterWithRoot();
  const a1 = serverOn(gpfs, 'a1');
  const [store] = await a1.roots.all();
  if (!store) throw new Error('the root is not there');
  const parameters = { freeze };
  const { id } = await a1.volumes.create(spec('v', { capabilities: [mounted()], parameters }));
  await a1.attachments.publish(attach(id, 'a1', mounted()));
  const said: string[] = [];
  const say = (_: object, text: string) => {
    said.push(text);
  };
  const log = { ...a1.host.log, info: say, warn: say } as Log;
  const record = (await store.volumes.read('v'))?.value;
  if (!record) throw new Error('the volume is not there');
  const during = <T>(work: () => Promise<T>) =>
    whileFrozen({ ...a1.host, log }, store, record, work);
  const left = async () => (await store.freezes.requestsTo('a1')).length;
  return { a1, store, id, said, during, left };
}

const crash = 'cut without a freeze: crash-consistent, with all that was fsynced';

/** A node that answers the first request, and perhaps thaws before the snapshot is cut. */
async function answering(store: Awaited<ReturnType<typeof setup>>['store'], answer: string) {
  for (;;) {
    const [request] = await store.freezes.requestsTo('a1');
    if (request) {
      await store.freezes.answer('a1', request.nonce, answer);
      return request.nonce;
    }
    await new Promise(setImmediate);
  }
}

describe('a snapshot of a volume whose class says freeze: auto', () => {
  test('waits for its node, is cut under the freeze and withdraws the request', async () => {
    const { during, store, said, left } = await setup();
    const node = answering(store, '');
    expect(
      await during(async () => {
        expect(await store.freezes.answerTo('a1', await node)).toBe('');
        return 'cut';
      }),
    ).toBe('cut');
    expect(said).toEqual(['cut while the file system was frozen']);
    expect(await left()).toBe(0);
  });

  test('is cut all the same without an answer, with a refusal, or when the node thawed too early', async () => {
    const silent = await setup();
    expect(await silent.during(() => Promise.resolve('cut'))).toBe('cut');
    const refused = await setup();
    void answering(refused.store, 'busy');
    expect(await refused.during(() => Promise.resolve('cut'))).toBe('cut');
    const early = await setup();
    const node = answering(early.store, '');
    expect(
      await early.during(async () => {
        await early.store.freezes.takeBack('a1', await node);
        return 'cut';
      }),
    ).toBe('cut');
    for (const { said, left } of [silent, refused, early]) {
      expect(said).toEqual([crash]);
      expect(await left()).toBe(0);
    }
  });

  test('that fails withdraws the request too', async () => {
    const { during, store, left } = await setup();
    void answering(store, '');
    await expect(during(() => Promise.reject(new Error('no space')))).rejects.toThrow('no space');
    expect(await left()).toBe(0);
  });

  test('asks nobody where the class says never, or nobody has the volume mounted', async () => {
    const never = await setup('never');
    const detached = await setup();
    await detached.a1.attachments.unpublish(detached.id, 'a1');
    for (const { a1, store, id } of [never, detached]) {
      let asked = 0;
      const freezes = { ...store.freezes, ask: () => Promise.resolve(String((asked += 1))) };
      Object.assign(store, { freezes });
      const snapshot = { name: 's', sourceVolumeId: id, parameters: new Map<string, string>() };
      expect((await a1.snapshots.create(snapshot)).ready).toBe(true);
      expect(asked).toBe(0);
    }
  });

  test('is the one that CreateSnapshot takes', async () => {
    const { a1, store, id } = await setup();
    const asked = answering(store, '');
    await a1.snapshots.create({ name: 's', sourceVolumeId: id, parameters: new Map() });
    expect(await asked).toMatch(/^[0-9a-f]+$/);
  });
});
