import { isAbsolute } from 'node:path';
import { DriverError } from '../../../model/fault.ts';
import type { Loop } from '../../../linux/loop.ts';
import { shows } from '../../../linux/mount.ts';
import { deviceAt } from '../../../linux/sysblock.ts';
import type { Mount } from '../../../run/mounts.ts';
import { blockDevice, loopsIn, isUsable } from './loops.ts';
import type { NodeRecord, Target } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { readVolume } from './volume.ts';

/** A volume at the path that a caller gave: its record, and the device that is mounted there. */
export interface SeenVolume {
  readonly record: NodeRecord;
  readonly path: string;
  readonly loop: Loop;
}

/**
 * Finds a volume at a path: one of the record, or any other that shows a device of the volume. Nothing is changed
 * there, so a malformed path is simply not found. Throws volume-missing or path-missing.
 */
export async function placeOf(
  host: Pick<NodeHost, 'records' | 'roots' | 'losetup' | 'mounter'>,
  id: string,
  asked: string,
): Promise<SeenVolume> {
  const record = await host.records.read(id);
  if (!record) await readVolume(host, id);
  const place =
    record && ((await seenAt(host, record, asked)) ?? (await shownAt(host, record, asked)));
  if (place) return place;
  throw new DriverError('path-missing', `volume ${id} is not at ${JSON.stringify(asked)} here`);
}

async function seenAt(
  host: Pick<NodeHost, 'losetup' | 'mounter'>,
  record: NodeRecord,
  asked: string,
): Promise<SeenVolume | undefined> {
  const place = placeIn(record, asked);
  if (!place || !(await host.losetup.isAttached(place.loop))) return undefined;
  // A raw block volume that is staged shows nothing at the staging path.
  const hidden = record.kind === 'block' && place.path === record.stagingPath;
  return hidden || (await isMountedAt(host, place.path, place.loop)) ? place : undefined;
}

/**
 * The volume at a path that no call named. For statistics of a raw device the kubelet names a place of its own, to
 * which it binds the device node that the driver gave it.
 */
async function shownAt(
  host: Pick<NodeHost, 'losetup' | 'mounter'>,
  record: NodeRecord,
  path: string,
): Promise<SeenVolume | undefined> {
  if (!isAbsolute(path)) return undefined;
  for (const loop of loopsIn(record)) {
    if (!(await host.losetup.isAttached(loop))) continue;
    const isNode = async () => (await deviceAt(path)) === (await blockDevice(loop)).number;
    if ((await isMountedAt(host, path, loop)) || (record.kind === 'block' && (await isNode())))
      return { record, path, loop };
  }
  return undefined;
}

/** Where the volume is by the record alone. */
function placeIn(record: NodeRecord, asked: string): SeenVolume | undefined {
  const target = record.targets.find((each) => [each.asked, each.path].includes(asked));
  const loop = target?.loop ?? record.loop;
  if (!loop) return undefined;
  if (target) return { record, path: target.path, loop };
  const isStaging = [record.stagingAsked, record.stagingPath].includes(asked);
  return isStaging ? { record, path: record.stagingPath, loop } : undefined;
}

/** True when the topmost mount at a path is this device. */
export async function isMountedAt(
  { mounter }: Pick<NodeHost, 'mounter'>,
  path: string,
  loop: Loop,
): Promise<boolean> {
  const top = (await mounter.at(path)).at(-1);
  return top !== undefined && shows(top, await blockDevice(loop));
}

/** True for a mount of one of the devices that a record names, or a bind of its node. */
export async function isOfVolume(record: NodeRecord | undefined, mount: Mount): Promise<boolean> {
  const devices = await Promise.all((record ? loopsIn(record) : []).map(blockDevice));
  return devices.some((device) => shows(mount, device));
}

/** True when the volume is staged and its device and mount are there. */
export async function isLive(
  host: Pick<NodeHost, 'losetup' | 'mounter'>,
  record: NodeRecord,
): Promise<boolean> {
  const { loop, kind, staged, stagingPath } = record;
  if (!staged || !loop || !(await isUsable(host, loop, record))) return false;
  return kind === 'block' || isMountedAt(host, stagingPath, loop);
}

/**
 * A target that keeps the volume staged. For a file system only a mount counts, so a target that an administrator
 * unmounted keeps nothing. A container may use a raw device without a mount: for raw block the record counts.
 */
export async function firstPublished(
  host: Pick<NodeHost, 'mounter'>,
  record: NodeRecord,
): Promise<Target | undefined> {
  if (record.kind === 'block') return record.targets[0];
  for (const target of record.targets)
    for (const mount of await host.mounter.at(target.path))
      if (await isOfVolume(record, mount)) return target;
  return undefined;
}
