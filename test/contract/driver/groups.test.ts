import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  asMount,
  fromSnapshot,
  newVolume,
  remove,
  use,
  type Used,
} from '../../support/disk/csi.ts';
import type { CreateVolumeGroupSnapshotResponse } from '../../../src/wire/types.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

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

/** Writes a number to one file and then to the other, each fsynced, until a test stops it. */
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

interface Group {
  readonly id: string;
  /** Snapshots by the volumes they are of. */
  readonly members: ReadonlyMap<string, string>;
}

function groupOf({ group_snapshot: found }: CreateVolumeGroupSnapshotResponse): Group {
  const id = found?.group_snapshot_id ?? '';
  const snapshots = found?.snapshots ?? [];
  expect(snapshots.map(({ group_snapshot_id }) => group_snapshot_id)).toEqual([id, id]);
  const members = snapshots.map(
    ({ source_volume_id = '', snapshot_id = '' }) => [source_volume_id, snapshot_id] as const,
  );
  return { id, members: new Map(members) };
}

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
      if (code === 'OK') groups.push(groupOf(reply));
      else
        expect(`${code} ${details}`).toMatch(/^ABORTED .*was not frozen while its group was cut/);
    }
  } finally {
    stop.abort();
    expect(await writing).toBeGreaterThan(cuts);
  }
  return groups;
}

/** The number that a restored snapshot holds. */
async function restoredNumber(snapshot: string, name: string, fsType: string): Promise<number> {
  const capability = asMount(fsType);
  const from = fromSnapshot(snapshot);
  const id = await newVolume(server, name, { capability, from, ...sizes });
  const copy = await use(site, server, id, capability);
  const text = await readFile(join(copy.target, 'counter'), 'utf8');
  await copy.release();
  await remove(server, { volumes: [id] });
  return Number(text);
}

/** What each member of a group holds, in the order of the volumes. */
async function numbersIn(
  members: Group['members'],
  used: readonly Used[],
  fsType: string,
): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { id } of used)
    found.push(await restoredNumber(members.get(id) ?? '', `r-${fsType}-${found.length}`, fsType));
  return found;
}

test.each(['ext4', 'xfs'])(
  '97: groups of two mounted %s volumes, cut under load, each hold one moment of both',
  async (fsType) => {
    const used: Used[] = [];
    for (const name of [`a-${fsType}`, `b-${fsType}`])
      used.push(await use(site, server, await frozenVolume(name, fsType), asMount(fsType)));
    const groups = await cutUnderLoad(used, fsType);
    for (const { id, members } of groups) {
      const [a = -1, b = -2] = await numbersIn(members, used, fsType);
      expect(a === b || a === b + 1, `${a} and ${b}`).toBe(true);
      const snapshot_ids = [...members.values()];
      await server.ok('DeleteVolumeGroupSnapshot', { group_snapshot_id: id, snapshot_ids });
    }
    for (const each of used) await each.release();
    await remove(server, { volumes: used.map(({ id }) => id) });
    // Servers work off what the deletions set free; nothing of it may stay.
    while (site.problems().length > 0) await sleep(100);
    expect(filesOnDisk(site.root)).toEqual([]);
  },
);
