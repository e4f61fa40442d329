import { readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  asBlock,
  fromSnapshot,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// A driver process that starts on a node follows an earlier one. Nothing of that one may act after it registered:
// other servers take the registration as the proof of that, and go on with what the earlier one had begun.

const site = await realSite();
const b = await site.serve('b1');

const mebibyte = 2 ** 20;

/** Whether a process runs, in whatever state; one that ended and was not waited for does not. */
function runs(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

async function fill(file: FileHandle, text: string, mib: number): Promise<void> {
  const chunk = Buffer.alloc(4 * mebibyte, text);
  for (let at = 0; at < mib; at += 4) await file.write(chunk, 0, chunk.length, at * mebibyte);
  await file.sync();
}

/** Writes all of an image, as a pod on some node would. */
async function overwrite(on: RealServer, volume_id: string, text: string, mib: number) {
  const where = { volume_id, node_id: on.node };
  await on.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  await using file = await open(imageOnDisk(site.root, volume_id), 'r+');
  await fill(file, text, mib);
  return () => on.ok('ControllerUnpublishVolume', where);
}

/** How many MiB of a file begin with each text. */
async function lettersOf(path: string, mib: number): Promise<Readonly<Record<string, number>>> {
  await using file = await open(path);
  const found: Record<string, number> = {};
  for (let at = 0; at < mib; at += 1) {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at * mebibyte);
    const letter = buffer.toString('latin1');
    found[letter] = (found[letter] ?? 0) + 1;
  }
  return found;
}

const fillOf = (id: string) =>
  recordsOnDisk(site.root, 'volumes').find((record) => record.id === id)?.claim?.fill;

/** Until its log says how the fill ended. */
const isFilling = (server: RealServer): boolean =>
  !/volume filled|work in the background failed/.test(server.log());

const imageOf = (id: string): string =>
  filesOnDisk(site.root, 'volumes').find((path) => path.includes(`/${id}.`)) ?? '';

/** A request to fill a volume that stopped half way, with the server that it was sent to. */
interface Stalled {
  readonly ask: ReturnType<typeof volumeRequest>;
  readonly lost: Promise<unknown>;
}

/** Stops a server in the middle of copying a snapshot into a volume; asks until that moment is met. */
async function stallInFill(server: RealServer, snapshot: string, mib: number): Promise<Stalled> {
  for (let attempt = 1; ; attempt += 1) {
    const id = `filled-${attempt}`;
    const thick = { parameters: { provisioning: 'thick' } };
    const ask = { ...volumeRequest(id, { from: fromSnapshot(snapshot) }), ...thick };
    const lost = server.call('CreateVolume', ask);
    while ((fillOf(id)?.allocatedBytes ?? '0') === '0') await sleep(1);
    server.signal('SIGSTOP');
    const [last] = Object.keys(await lettersOf(imageOf(id), mib)).sort();
    if (last === '\0') return { ask, lost };
    server.signal('SIGCONT');
    await remove(server, { volumes: [(await lost).reply.volume?.volume_id ?? ''] });
  }
}

test('a driver that stalls writes nothing into a volume that others filled and gave out meanwhile', async () => {
  const mib = 256;
  const old = await site.serve('a1');
  const source = await newVolume(b, 'source', { mib });
  const written = await overwrite(b, source, 's', mib);
  await written();
  const snapshot = await newSnapshot(b, 'cut', source);
  const { ask, lost } = await stallInFill(old, snapshot, mib);
  // At another socket, because the kernel still takes connections for one that is stopped.
  const next = await site.serve('a1', { socket: join(site.directory, 'a1-next.sock') });
  const made = (await b.ok('CreateVolume', ask)).volume?.volume_id ?? '';
  const path = imageOnDisk(site.root, made);
  expect(await lettersOf(path, mib)).toEqual({ s: mib });
  const done = await overwrite(b, made, 'p', mib);
  old.signal('SIGCONT');
  await lost;
  await expect.poll(() => runs(old.pid) && isFilling(old)).toBe(false);
  expect(await lettersOf(path, mib)).toEqual({ p: mib });
  await done();
  await remove(b, { volumes: [made, source], snapshots: [snapshot] });
  await next.end();
});
