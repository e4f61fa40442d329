import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { asMount, fromSnapshot, newVolume, remove, use } from '../support/csi.ts';
import type { Used } from '../support/csi.ts';
import type { VolumeGroupSnapshot } from '../../src/wire/types.ts';
import { realSite } from '../support/realsite.ts';

const site = await realSite();
// Two servers: the one that cuts is not the one that has the volumes mounted.
const server = await site.serve();
const other = await site.serve('b1');

const cuts = 4;
const sizes = { mib: 320 };

/** A volume whose class wants freezes, as a mounted file system. */
async function frozenVolume(name: string, fsType: string): Promise<string> {
  const { volume } = await server.ok('CreateVolume', {
    name,
    volume_capabilities: [asMount(fsType)],
    capacity_range: { required_bytes: String(sizes.mib * 1024 * 1024) },
    parameters: { freeze: 'auto' },
  });
  return volume?.volume_id ?? '';
}

/** Writes a number to one file and then to the other, each fsynced, until it is told to stop. */
async function writeInTurn(paths: readonly string[], stop: AbortSignal): Promise<number> {
  const files = await Promise.all(paths.map((path) => open(path, 'w')));
  let n = 0;
  while (!stop.aborted) {
    n += 1;
    for (const file of files) {
      await file.write(String(n).padStart(12), 0, 'utf8');
      await file.sync();
    }
    // Room for the freezes, which wait for what is being written.
    await sleep(2);
  }
  for (const file of files) await file.close();
  return n;
}

type Group = VolumeGroupSnapshot | null | undefined;

/** Takes groups while a program writes; on a machine that is too slow for a freeze it is tried again, as sidecars do. */
async function cutUnderLoad(used: readonly Used[], fsType: string): Promise<readonly Group[]> {
  const stop = new AbortController();
  const writing = writeInTurn(
    used.map(({ target }) => join(target, 'counter')),
    stop.signal,
  );
  const groups: Group[] = [];
  try {
    while (groups.length < cuts) {
      const { code, details, reply } = await other.call('CreateVolumeGroupSnapshot', {
        name: `g-${fsType}-${groups.length}`,
        source_volume_ids: used.map(({ id }) => id),
      });
      if (code === 'OK') groups.push(reply.group_snapshot);
      else
        expect(`${code} ${details}`).toMatch(/^ABORTED .*was not frozen while its group was cut/);
    }
  } finally {
    stop.abort();
    expect(await writing).toBeGreaterThan(cuts);
  }
  return groups;
}

test.each(['ext4', 'xfs'])(
  '97: groups of two mounted %s volumes, cut under load, each hold one moment of both',
  async (fsType) => {
    const names = [`a-${fsType}`, `b-${fsType}`];
    const used: Used[] = [];
    for (const name of names)
      used.push(await use(site, server, await frozenVolume(name, fsType), asMount(fsType)));
    const groups = await cutUnderLoad(used, fsType);
    for (const [at, group] of groups.entries()) {
      const found: number[] = [];
      for (const [index, { id }] of used.entries()) {
        const member = group?.snapshots?.find(({ source_volume_id }) => source_volume_id === id);
        expect(member?.group_snapshot_id).toBe(group?.group_snapshot_id);
        const name = `r-${fsType}-${at}-${index}`;
        const source = fromSnapshot(member?.snapshot_id ?? '');
        const capability = asMount(fsType);
        const restored = await newVolume(server, name, { capability, from: source, ...sizes });
        const copy = await use(site, server, restored, capability);
        found.push(Number((await readFile(join(copy.target, 'counter'), 'utf8')) || '0'));
        await copy.release();
        await remove(server, { volumes: [restored] });
      }
      const [a = -1, b = -1] = found;
      expect([a - b, `of ${a} and ${b}`]).toEqual([a === b ? 0 : 1, `of ${a} and ${b}`]);
    }
    for (const group of groups)
      await server.ok('DeleteVolumeGroupSnapshot', {
        group_snapshot_id: group?.group_snapshot_id ?? '',
        snapshot_ids: group?.snapshots?.map(({ snapshot_id }) => snapshot_id ?? '') ?? [],
      });
    for (const each of used) await each.release();
    await remove(server, { volumes: used.map(({ id }) => id) });
  },
);
