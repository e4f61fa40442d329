import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startCounter } from '../../support/disk/counter.ts';
import { asBlock, asMount, newVolume, remove, use, type Used } from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const [a, b] = await Promise.all([site.serve('a1'), site.serve('b1')]);

afterEach(async () => {
  await site.set({ snapOpen: true });
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.inUse()).toEqual([]);
  expect(site.problems()).toEqual([]);
});

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const sumOf = async (directory: string, name: string) =>
  hash(await readFile(join(directory, name)));
const counted = async (directory: string) =>
  (await readFile(join(directory, 'counter'), 'utf8')).trimEnd().split('\n').map(Number);
const inOrder = (count: number) => Array.from({ length: count }, (_, line) => line);

/** What lies in the root below one name: marks, or data files. */
async function marks(): Promise<readonly string[]> {
  const names = await readdir(join(site.root, '.gpfs-csi', 'marks'), { recursive: true });
  return names.filter((name) => name.endsWith('.json')).map((name) => basename(name));
}

const letGo = async (server: RealServer, { id, target, staging }: Used): Promise<void> => {
  await server.ok('NodeUnpublishVolume', { volume_id: id, target_path: target });
  await server.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: staging });
};

/** What Kubernetes does when it counts a node as lost: detached, though nothing there let go of anything. */
const declareLost = (volume_id: string, node_id = 'a1') =>
  b.ok('ControllerUnpublishVolume', { volume_id, node_id });

function check(fsType: string, image: string): void {
  if (fsType === 'ext4') execFileSync('e2fsck', ['-fn', image], { stdio: 'ignore' });
  else execFileSync('xfs_repair', ['-n', '-f', image], { stdio: 'ignore' });
}

describe('a node that counts as lost, and writes', () => {
  test.each(['ext4', 'xfs'])(
    '%s: the next node starts from one point, the old one harms nothing, and leaves nothing but a parent',
    async (fsType) => {
      const capability = asMount(fsType);
      const id = await newVolume(a, `lost-${fsType}`, { capability, mib: 512 });
      const old = await use(site, a, id, capability);
      const kept = randomBytes(4 << 20);
      await writeFile(join(old.target, 'kept'), kept, { flush: true });
      const writer = startCounter(join(old.target, 'counter'));
      await writer.reaches(50);
      const before = imageOnDisk(site.root, id);

      await declareLost(id);
      const sure = writer.acknowledged();
      const now = await use(site, b, id, capability);
      const latest = writer.acknowledged();
      await writer.reaches(latest + 50);

      const seen = await counted(now.target);
      expect(seen).toEqual(inOrder(seen.length));
      expect(seen.length).toBeGreaterThanOrEqual(sure);
      // One more may have been on its way while its predecessor was acknowledged.
      expect(seen.length).toBeLessThanOrEqual(latest + 1);
      expect(await sumOf(now.target, 'kept')).toBe(hash(kept));
      const fresh = randomBytes(1 << 20);
      await writeFile(join(now.target, 'fresh'), fresh, { flush: true });

      const after = imageOnDisk(site.root, id);
      expect(after).not.toBe(before);
      expect(filesOnDisk(site.root)).toHaveLength(2);
      await writer.reaches(writer.acknowledged() + 50);
      await writer.stop();
      expect((await counted(old.target)).length).toBeGreaterThanOrEqual(latest + 100);
      expect((await readdir(old.target)).includes('fresh')).toBe(false);
      await letGo(a, old);
      expect(await marks()).toEqual(['b1.json']);
      expect(site.inUse()).toHaveLength(3);

      expect(await counted(now.target)).toEqual(seen);
      expect(await sumOf(now.target, 'kept')).toBe(hash(kept));
      expect(await sumOf(now.target, 'fresh')).toBe(hash(fresh));
      await now.release();
      check(fsType, after);
      expect(site.problems()).toEqual([]);
      expect(filesOnDisk(site.root, 'hidden')).toHaveLength(1);
      await remove(b, { volumes: [id] });
    },
  );

  test('raw block: what each writes after that only it reads', async () => {
    const id = await newVolume(a, 'lost-block', { mib: 16 });
    const old = await use(site, a, id, asBlock());
    await writeFile(old.target, 'before'.padEnd(4096), { flag: 'r+', flush: true });
    await declareLost(id);
    const now = await use(site, b, id, asBlock());
    await writeFile(old.target, 'late'.padEnd(4096), { flag: 'r+', flush: true });
    expect((await readFile(now.target)).subarray(0, 6).toString()).toBe('before');
    await writeFile(now.target, 'new'.padEnd(4096), { flag: 'r+', flush: true });
    expect((await readFile(old.target)).subarray(0, 4).toString()).toBe('late');
    await letGo(a, old);
    await now.release();
    expect((await readFile(imageOnDisk(site.root, id))).subarray(0, 3).toString()).toBe('new');
    await remove(b, { volumes: [id] });
  });

  test('holds the parent as long as it writes, though the volume is deleted altogether', async () => {
    const id = await newVolume(a, 'lost-deleted', { capability: asMount() });
    const old = await use(site, a, id);
    await declareLost(id);
    const now = await use(site, b, id);
    await now.release();
    await remove(b, { volumes: [id] });
    expect(filesOnDisk(site.root).map((path) => path.includes('/hidden/'))).toEqual([true]);
    await writeFile(join(old.target, 'late'), 'late', { flush: true });
    // A driver that starts lets go of what belongs to nobody any more, and looks at what was left.
    await a.end('SIGKILL');
    const again = await site.serve('a1');
    while (!again.log().includes('was deleted while it was staged here')) await sleep(20);
    expect(site.inUse()).toEqual([]);
    await letGo(again, old);
    expect(await marks()).toEqual([]);
    const another = await site.serve('c1');
    while (filesOnDisk(site.root).length > 0) await sleep(20);
    for (const server of [again, another]) expect(await server.end()).toBe(0);
  });
});

describe('whose mark it is', () => {
  test('a node that gets its volume back before anybody else had it goes on with it', async () => {
    const server = await site.serve('c1');
    const id = await newVolume(b, 'own', { capability: asMount() });
    const used = await use(site, server, id);
    const image = imageOnDisk(site.root, id);
    await declareLost(id, 'c1');
    await b.ok('ControllerPublishVolume', {
      volume_id: id,
      node_id: 'c1',
      volume_capability: asMount(),
    });
    expect(imageOnDisk(site.root, id)).toBe(image);
    await used.release();
    await remove(b, { volumes: [id] });
    await server.end();
  });

  test('a machine that took over the name of a lost one is another node', async () => {
    const lost = await site.serve('c1');
    const id = await newVolume(b, 'replaced', { capability: asMount() });
    const old = await use(site, lost, id);
    const image = imageOnDisk(site.root, id);
    await lost.end('SIGKILL');
    await declareLost(id, 'c1');
    const machine = join(site.directory, 'other-machine-id');
    await writeFile(machine, '0123456789abcdef0123456789abcdef\n');
    const flags = { 'machine-id-path': machine, 'state-dir': join(site.directory, 'state-c1-new') };
    const replaced = await site.serve('c1', { flags });
    const ask = { volume_id: id, node_id: 'c1', volume_capability: asMount() };
    await b.ok('ControllerPublishVolume', ask);
    expect(imageOnDisk(site.root, id)).not.toBe(image);
    await b.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'c1' });
    await replaced.end();
    const back = await site.serve('c1');
    await letGo(back, old);
    await remove(b, { volumes: [id] });
    await back.end();
  });

  test('a machine that booted again is not cut off', async () => {
    const lost = await site.serve('c1');
    const id = await newVolume(b, 'rebooted', { capability: asBlock() });
    const old = await use(site, lost, id, asBlock());
    const image = imageOnDisk(site.root, id);
    await lost.end('SIGKILL');
    await declareLost(id, 'c1');
    const boot = join(site.directory, 'other-boot-id');
    await writeFile(boot, '01234567-89ab-cdef-0123-456789abcdef\n');
    // With a state directory of its own, so that it does not take its mark away itself.
    const flags = { 'boot-id-path': boot, 'state-dir': join(site.directory, 'state-c1-boot') };
    const booted = await site.serve('c1', { flags });
    const ask = { volume_id: id, node_id: 'b1', volume_capability: asBlock() };
    await b.ok('ControllerPublishVolume', ask);
    expect(imageOnDisk(site.root, id)).toBe(image);
    await b.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'b1' });
    await booted.end();
    const back = await site.serve('c1');
    await letGo(back, old);
    await remove(b, { volumes: [id] });
    await back.end();
  });

  test('raw block that several nodes share is left to them', async () => {
    const shared = asBlock('MULTI_NODE_MULTI_WRITER');
    const server = await site.serve('c1');
    const id = await newVolume(b, 'shared', { capability: shared });
    const image = imageOnDisk(site.root, id);
    const old = await use(site, server, id, shared);
    await declareLost(id, 'c1');
    const now = await use(site, b, id, shared);
    expect(imageOnDisk(site.root, id)).toBe(image);
    await letGo(server, old);
    await now.release();
    await remove(b, { volumes: [id] });
    await server.end();
  });
});

test('where GPFS takes no snapshot of an open file the other node is refused, and the lost one named', async () => {
  const server = await site.serve('c1');
  const id = await newVolume(b, 'closed', { capability: asMount() });
  const old = await use(site, server, id);
  await site.set({ snapOpen: false });
  await declareLost(id, 'c1');
  const ask = { volume_id: id, node_id: 'b1', volume_capability: asMount() };
  for (let attempt = 0; attempt < 2; attempt++)
    expect(await b.refused('ControllerPublishVolume', ask)).toMatch(
      /^FAILED_PRECONDITION .*may still be open on node c1.*bring that node back or restart it$/,
    );
  await letGo(server, old);
  await b.ok('ControllerPublishVolume', ask);
  await b.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'b1' });
  await remove(b, { volumes: [id] });
  await server.end();
});
