import { createHash, randomInt } from 'node:crypto';
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { asBlock, fromSnapshot, newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { parentOf, readProc } from '../../support/disk/processes.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// Compaction with real bytes and real processes: what reads through a tree reads the same before and after.

const site = await realSite();
let server = await site.serve();

afterEach(() => site.set({ latencyMs: 0 }));

// A night takes seconds on a machine that does something else as well.
vi.setConfig({ testTimeout: 300_000 });

const mebibyte = 1024 * 1024;
const size = 8;

/** What a volume should hold. */
class Content {
  readonly bytes = Buffer.alloc(size * mebibyte);

  get sum(): string {
    return createHash('sha256').update(this.bytes).digest('hex');
  }
}

const sumOf = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

/** Writes half a MiB of text somewhere, as a node would that has the volume attached. */
async function write(on: RealServer, volume_id: string, content: Content, text: string) {
  const where = { volume_id, node_id: on.node };
  const at = randomInt(2 * size - 1) * (mebibyte / 2);
  await on.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  {
    await using file = await open(imageOnDisk(site.root, volume_id), 'r+');
    const bytes = Buffer.alloc(mebibyte / 2, text);
    await file.write(bytes, 0, bytes.length, at);
    await file.sync();
    bytes.copy(content.bytes, at);
  }
  await on.ok('ControllerUnpublishVolume', where);
}

const hidden = (): number => recordsOnDisk(site.root, 'hidden').length;

/** Nothing is on the queue any more, and files, records and clone tree agree. */
async function settled(): Promise<readonly string[]> {
  const queue = join(site.root, '.gpfs-csi', 'queue');
  const names = await Promise.all(['ready', 'waiting'].map((each) => readdir(join(queue, each))));
  const left = names.flat().map((name) => `${name} is on the queue`);
  return left.length > 0 ? left : site.problems();
}

const untilSettled = () => expect.poll(settled, { timeout: 200_000, interval: 250 }).toEqual([]);

async function restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  await server.end(signal);
  await site.quiet();
  server = await site.serve();
}

/** A volume over one tombstone that is worth absorbing. */
async function worn(name: string): Promise<{ id: string; content: Content }> {
  const content = new Content();
  const id = await newVolume(server, name, { mib: size });
  await write(server, id, content, 'first');
  const snapshot = await newSnapshot(server, `${name}-cut`, id);
  await write(server, id, content, 'second');
  await write(server, id, content, 'third');
  await remove(server, { snapshots: [snapshot] });
  return { id, content };
}

/** Waits until a redirect of this GPFS runs; resolves to the process that started it. */
async function redirecting(): Promise<number> {
  for (;;) {
    const [parent] = site.commands().flatMap(parentOfRedirect);
    if (parent !== undefined) return parent;
    await sleep(10);
  }
}

const parentOfRedirect = (pid: number): readonly number[] =>
  readProc(pid, 'cmdline').split('\0').includes('redirect') ? [parentOf(pid)] : [];

test('a volume backed up night after night, by servers that are killed, stays shallow and whole', async () => {
  const content = new Content();
  const id = await newVolume(server, 'nightly', { mib: size });
  let before = '';
  let kept = { path: '', sum: '' };
  for (let night = 0; night < 12; night++) {
    const snapshot = await newSnapshot(server, `night-${night}`, id);
    const sum = content.sum;
    await write(server, id, content, `night ${night}`);
    if (night % 4 === 3) await restart();
    if (before !== '') await remove(server, { snapshots: [before] });
    before = snapshot;
    const copy = await newVolume(server, `copy-${night}`, { from: fromSnapshot(snapshot) });
    kept = { path: imageOnDisk(site.root, copy), sum };
    if (night < 11) await remove(server, { volumes: [copy] });
  }
  await untilSettled();
  expect(await sumOf(imageOnDisk(site.root, id))).toBe(content.sum);
  expect(await sumOf(kept.path)).toBe(kept.sum);
  await remove(server, { snapshots: [before], volumes: [`${id.slice(0, 8)}.copy-11`] });
  await untilSettled();
  expect(hidden()).toBeLessThanOrEqual(8);
  expect(await sumOf(imageOnDisk(site.root, id))).toBe(content.sum);
  await remove(server, { volumes: [id] });
  await untilSettled();
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('a server killed in the middle of a redirect is taken up where GPFS says it stopped', async () => {
  const { id, content } = await worn('killed');
  await site.set({ latencyMs: 700 });
  await redirecting();
  await restart();
  await site.set({ latencyMs: 0 });
  await untilSettled();
  expect(hidden()).toBe(0);
  expect(await sumOf(imageOnDisk(site.root, id))).toBe(content.sum);
  await remove(server, { volumes: [id] });
});

test('a request on another server makes a running redirect give way', async () => {
  const other = await site.serve('b1');
  const { id, content } = await worn('wanted');
  // Long enough that it is not done by itself before it is asked to stop.
  await site.set({ latencyMs: 8_000 });
  const busy = await redirecting();
  const [asked, working] = busy === server.pid ? [other, server] : [server, other];
  expect(working.pid).toBe(busy);
  const where = { volume_id: id, node_id: asked.node };
  const publishing = asked.ok('ControllerPublishVolume', {
    ...where,
    volume_capability: asBlock(),
  });
  await expect
    .poll(() => working.log(), { timeout: 30_000 })
    .toMatch(/"aborted":true.*command failed/);
  await site.set({ latencyMs: 0 });
  await publishing;
  await site.quiet();
  expect(hidden()).toBe(1);
  await asked.ok('ControllerUnpublishVolume', where);
  await untilSettled();
  expect(hidden()).toBe(0);
  expect(await sumOf(imageOnDisk(site.root, id))).toBe(content.sum);
  await remove(server, { volumes: [id] });
});
