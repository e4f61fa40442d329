import { readdirSync, statfsSync } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import {
  asMount,
  fromSnapshot,
  newSnapshot,
  newVolume,
  remove,
  use,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite({ size: 300n * MiB });
const server = await site.serve();
const other = await site.serve('b1');
const spare = join(site.root, '.gpfs-csi', 'spare');
const whole = 128 + 32 + 16;

const untilWhole = async (): Promise<void> => {
  const until = Date.now() + 60_000;
  while (countSpares() < whole && Date.now() < until) await sleep(20);
  expect(countSpares()).toBe(whole);
};
const countSpares = (): number => {
  try {
    return readdirSync(spare).length;
  } catch {
    return 0;
  }
};

/** Writes bytes that are no zeros into a file until the file system has no block left. */
async function fillBlocks(path: string): Promise<void> {
  const handle = await open(path, 'a');
  try {
    for (const bytes of [MiB, 4096n, 1n])
      for (let full = false; !full;)
        full = await handle.write(Buffer.alloc(Number(bytes), 'x')).then(
          ({ bytesWritten }) => bytesWritten === 0,
          () => true,
        );
  } finally {
    await handle.close();
  }
}

/** Makes empty files until the file system has no inode left. */
async function fillInodes(path: string): Promise<readonly string[]> {
  const made: string[] = [];
  for (;;)
    try {
      const name = `${path}-${made.length}`;
      await writeFile(name, '');
      made.push(name);
    } catch {
      return made;
    }
}

const free = (): number => {
  const { bavail, bsize } = statfsSync(site.mount);
  return bavail * bsize;
};

test('a file system without a block and without an inode is emptied through the driver', async () => {
  await untilWhole();
  const mounted = await newVolume(server, 'm', { capability: asMount() });
  const used = await use(site, server, mounted);
  const source = await newVolume(server, 'v');
  await writeFile(imageOnDisk(site.root, source), Buffer.alloc(Number(40n * MiB), 'v'), {
    flag: 'r+',
  });
  const snapshot = await newSnapshot(server, 's', source);
  const restored = await newVolume(server, 'r', { from: fromSnapshot(snapshot) });
  const others = [];
  for (let n = 0; n < 12; n += 1) others.push(await newVolume(server, `o${n}`));

  const filler = join(site.mount, 'filler');
  await fillBlocks(filler);
  const empty = await fillInodes(`${filler}-empty`);
  await expect(writeFile(`${filler}-more`, '')).rejects.toThrow('ENOSPC');
  expect(await server.refused('CreateVolume', volumeRequest('none'))).toMatch(
    /^RESOURCE_EXHAUSTED /,
  );
  const before = free();

  await used.release();
  // A tombstone needs a record of its own, and perhaps a directory for it.
  await remove(server, { snapshots: [snapshot] });
  await remove(other, { volumes: [restored, mounted] });
  await remove(server, { volumes: [source] });
  await Promise.all(
    others.map((volume_id, n) => (n % 2 === 0 ? server : other).ok('DeleteVolume', { volume_id })),
  );
  expect(filesOnDisk(site.root)).toEqual([]);
  await expect.poll(() => free() - before, { timeout: 10_000 }).toBeGreaterThan(Number(40n * MiB));

  await rm(filler);
  for (const name of empty) await rm(name);
  // A server that starts fills it at once, and not at its next heartbeat.
  await site.serve('c1');
  await untilWhole();
  await remove(server, { volumes: [await newVolume(server, 'after')] });
  expect(site.problems()).toEqual([]);
});
