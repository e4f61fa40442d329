import { statSync } from 'node:fs';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { processesWith } from '../../support/disk/processes.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';
import { claimed } from '../../support/disk/takeover.ts';

const site = await realSite();

/** The size of the file that a snapshot names. */
function cutBytes(name: string): string {
  const cut = recordsOnDisk(site.root, 'snapshots').find(({ id }) => id === name);
  const file = filesOnDisk(site.root, 'snapshots').find((at) => basename(at) === cut?.file?.key);
  return String(statSync(file ?? '').size);
}

/** A snapshot and a clone of the volume; each child has the size of the file that was cut, at least. */
async function expectChildren(on: RealServer, volume_id: string): Promise<void> {
  const name = `${local(volume_id)}-cut`;
  const of = await newSnapshot(on, name, volume_id);
  const { snapshot } = await on.ok('CreateSnapshot', { name, source_volume_id: volume_id });
  const bytes = cutBytes(name);
  expect(snapshot?.size_bytes).toBe(bytes);
  for (const from of [fromSnapshot(of), fromVolume(volume_id)]) {
    const child = await newVolume(on, `${name}-child`, { from });
    expect(statSync(imageOnDisk(site.root, child)).size).toBeGreaterThanOrEqual(Number(bytes));
    await remove(on, { volumes: [child] });
  }
  await remove(on, { snapshots: [of], volumes: [volume_id] });
}

const local = (id: string): string => id.slice(id.indexOf('.') + 1);

describe('a clone parent has the size of the file that was cut', () => {
  const thick = (name: string) => ({
    ...volumeRequest(name, { mib: 8 }),
    parameters: { provisioning: 'thick' },
  });

  test('the server was killed while it wrote the zeros of a thick expansion', async () => {
    const by = join(site.directory, 'no-fallocate');
    await writeFile(
      by,
      '#!/bin/sh\necho "fallocate failed: Operation not supported" >&2\nexit 1\n',
    );
    await chmod(by, 0o755);
    const a = await site.serve('zeros', { instead: ['/usr/bin/fallocate', by] });
    const volume_id = (await a.ok('CreateVolume', thick('zeros'))).volume?.volume_id ?? '';
    const range = { volume_id, capacity_range: mib(1024) };
    const lost = a.call('ControllerExpandVolume', range);
    const image = imageOnDisk(site.root, volume_id);
    while (statSync(image).size <= 9 << 20) await sleep(1);
    await a.end('SIGKILL');
    expect((await lost).code).not.toBe('OK');
    expect(statSync(image).size).toBeLessThan(1 << 30);
    const again = await site.serve('zeros');
    await expectChildren(again, volume_id);
    expect(await again.end()).toBe(0);
    expect(site.problems()).toEqual([]);
  });

  test('the server was killed while fallocate ran as its child', async () => {
    const real = join(site.directory, 'real-fallocate');
    const by = join(site.directory, 'slow-fallocate');
    await copyFile('/usr/bin/fallocate', real);
    await writeFile(by, `#!/bin/sh\nsleep 0.7\nexec ${real} "$@"\n`);
    for (const each of [real, by]) await chmod(each, 0o755);
    const a = await site.serve('child', { instead: ['/usr/bin/fallocate', by] });
    const volume_id = (await a.ok('CreateVolume', thick('child'))).volume?.volume_id ?? '';
    const lost = a.call('ControllerExpandVolume', { volume_id, capacity_range: mib(16) });
    await claimed(site.root, 'expand');
    while (filling(volume_id) === 0) await sleep(5);
    await a.end('SIGKILL');
    expect((await lost).code).not.toBe('OK');
    const again = await site.serve('child');
    await again.ok('CreateSnapshot', { name: 'first', source_volume_id: volume_id });
    while (filling(volume_id) > 0) await sleep(20);
    await remove(again, { snapshots: [volume_id.replace(/child$/, 'first')] });
    await expectChildren(again, volume_id);
    expect(await again.end()).toBe(0);
    expect(site.problems()).toEqual([]);
  });
});

/** How many processes allocate blocks of the volume's image. */
const filling = (volume_id: string): number =>
  processesWith(
    (line) => line.includes('fallocate\0') && line.includes(imageOnDisk(site.root, volume_id)),
  ).length;
