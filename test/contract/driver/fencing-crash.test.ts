import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startCounter } from '../../support/disk/counter.ts';
import { asMount, remove, use, volumeRequest, type Used } from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';
import { claimed, makeSilent } from '../../support/disk/takeover.ts';

const site = await realSite();
const a = await site.serve('a1');

afterEach(async () => {
  await site.set({ latencyMs: 0 });
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.inUse()).toEqual([]);
  expect(site.problems()).toEqual([]);
});

/** What is there when a fence has come so far. */
const points: Readonly<Record<string, () => boolean>> = {
  'its claim': () => true,
  'its parent': () => filesOnDisk(site.root, 'hidden').length > 0,
  'its next image': () => filesOnDisk(site.root, 'volumes').length > 1,
};

const request = (volume_id: string, node_id = 'b1') => ({
  volume_id,
  node_id,
  volume_capability: asMount(),
});

/** A lost node that writes, and a server that has come so far with the fence. */
async function fenceSoFar(server: RealServer, isThere: () => boolean) {
  // With attributes there is a command after each of the points.
  const parameters = { dataReplicas: '1' };
  const wanted = { ...volumeRequest('v', { capability: asMount() }), parameters };
  const id = (await a.ok('CreateVolume', wanted)).volume?.volume_id ?? '';
  const old = await use(site, a, id);
  const writer = startCounter(join(old.target, 'counter'));
  await writer.reaches(20);
  await a.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' });
  const sure = writer.acknowledged();
  await site.set({ latencyMs: 400 });
  const answer = server.call('ControllerPublishVolume', request(id));
  await claimed(site.root, 'fence');
  while (!isThere()) await sleep(2);
  return { id, old, writer, sure, answer };
}

type SoFar = Awaited<ReturnType<typeof fenceSoFar>>;

/** The volume on the next node: all that was sure, in order, and nothing of what its old node writes now. */
async function expectOnePoint(server: RealServer, { id, writer, sure }: SoFar): Promise<Used> {
  const now = await use(site, server, id);
  const read = async () => (await readFile(join(now.target, 'counter'), 'utf8')).trimEnd();
  const seen = await read();
  const lines = seen.split('\n').map(Number);
  expect(lines).toEqual(lines.map((_, line) => line));
  expect(lines.length).toBeGreaterThanOrEqual(sure);
  await writer.reaches(writer.acknowledged() + 20);
  expect(await read()).toBe(seen);
  return now;
}

/** The lost node comes back, and all goes. */
async function end({ id, old, writer }: SoFar, now: Used): Promise<void> {
  await writer.stop();
  await a.ok('NodeUnpublishVolume', { volume_id: id, target_path: old.target });
  await a.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: old.staging });
  await now.release();
  await remove(a, { volumes: [id] });
}

describe.each(Object.entries(points))('a server killed once %s is there', (_, isThere) => {
  test.each(['the same node asks again', 'another server is asked'])('%s', async (who) => {
    const b = await site.serve('b1');
    const sofar = await fenceSoFar(b, isThere);
    await b.end('SIGKILL');
    expect((await sofar.answer).code).not.toBe('OK');
    await site.quiet();
    await site.set({ latencyMs: 0 });
    const restarted = await site.serve('b1');
    const asked = who === 'the same node asks again' ? restarted : a;
    await asked.ok('ControllerPublishVolume', request(sofar.id));
    expect(filesOnDisk(site.root, 'hidden')).toHaveLength(1);
    expect(filesOnDisk(site.root, 'volumes')).toHaveLength(1);
    expect(site.problems()).toEqual([]);
    await end(sofar, await expectOnePoint(restarted, sofar));
    await restarted.end();
  });
});

describe.each(Object.entries(points))('a server stopped once %s is there', (_, isThere) => {
  test.each(['b1', 'c1'])('another one attaches the volume to %s meanwhile', async (node) => {
    const [b, c] = [await site.serve('b1'), await site.serve('c1')];
    const sofar = await fenceSoFar(b, isThere);
    b.signal('SIGSTOP');
    await site.quiet();
    await site.set({ latencyMs: 0 });
    await makeSilent(site.root, 'b1', 200);
    await c.ok('ControllerPublishVolume', request(sofar.id, node));
    const image = imageOnDisk(site.root, sofar.id);
    b.signal('SIGCONT');
    const { code, details } = await sofar.answer;
    // It may have been served before it was stopped; otherwise it has been overtaken.
    expect(`${code} ${details}`).toMatch(/^(?:OK|ABORTED|FAILED_PRECONDITION) /);
    expect(imageOnDisk(site.root, sofar.id)).toBe(image);
    await end(sofar, await expectOnePoint(node === 'b1' ? b : c, sofar));
    for (const server of [b, c]) await server.end();
    // A command that was started and took effect after its claim was taken may have left a parent that only GPFS
    // knows to have a child; a server that starts looks at it again.
    const last = await site.serve('c1');
    while (filesOnDisk(site.root).length > 0) await sleep(20);
    await last.end();
  });
});
