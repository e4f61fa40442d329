import { basename } from 'node:path';
import { DriverError } from '../../model/fault.ts';
import { sameFile } from '../../linux/losetup.ts';
import type { AttachOptions, FileIdentity, Loop } from '../../linux/losetup.ts';
import type { BlockDevice } from '../../linux/mount.ts';
import { deviceNumber } from '../../linux/sysblock.ts';
import { isShared } from './fitness.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import type { Source } from './source.ts';

/** What is wanted of a device, and what this node knows of the volume's devices so far. */
export interface DeviceAsk {
  readonly source: Source;
  readonly image: FileIdentity;
  readonly readonly: boolean;
  /** Devices that the record of this node names. */
  readonly own: readonly Loop[];
  /** The one among them that would serve here. */
  readonly current: Loop | null;
  /** An earlier attempt got as far as its record and may have died right after losetup. */
  readonly begun: boolean;
}

/** All devices a record names. */
export const loopsIn = (record: NodeRecord): readonly Loop[] =>
  [record.loop, ...record.targets.map(({ loop }) => loop)].filter((loop) => loop !== null);

/** A loop device for this image: the one in use, one left by an attempt cut short, or a new one. */
export async function obtainLoop(parts: NodeParts, ask: DeviceAsk): Promise<Loop> {
  const { current, image, source } = ask;
  if (current && (await serves(parts, current, ask))) return current;
  const found = await adopt(parts, ask);
  if (found) return found;
  const loop = await parts.losetup.attach(source.path, attachOptions(parts, ask));
  // The name could have been given to another file between our look at it and losetup's.
  if (sameFile(loop.backing, image)) return loop;
  await parts.losetup.detach(loop);
  throw new DriverError(
    'wrong-state',
    `image ${source.path} was replaced while it was being attached; try again`,
  );
}

const attachOptions = (parts: NodeParts, { source, readonly }: DeviceAsk): AttachOptions => ({
  readonly,
  allowBuffered: parts.allowBuffered && !isShared(source.record),
});

const serves = async (parts: NodeParts, loop: Loop, ask: DeviceAsk): Promise<boolean> =>
  loop.readonly === ask.readonly &&
  sameFile(loop.backing, ask.image) &&
  (await parts.losetup.isAttached(loop));

/** Devices of this image that no record names: ours when an attempt was cut short, else nobody may guess. */
async function adopt(parts: NodeParts, ask: DeviceAsk): Promise<Loop | undefined> {
  const { source, own, begun } = ask;
  const strays = (await parts.losetup.loopsOf(source.path)).filter(
    (loop) => !own.some(({ path, diskseq }) => path === loop.path && diskseq === loop.diskseq),
  );
  const [first] = strays;
  if (!first || (await usedByOthers(parts, source))) return undefined;
  if (!begun)
    throw new DriverError(
      'wrong-state',
      `image ${source.path} is attached to ${first.path} already, which the records of this node do not name; detach it first`,
    );
  const usable: Loop[] = [];
  for (const loop of strays)
    if (
      (await parts.losetup.whyUnusable(loop, source.path, attachOptions(parts, ask))) === undefined
    )
      usable.push(loop);
  const [kept] = usable;
  for (const loop of strays) if (loop !== kept) await parts.losetup.detach(loop);
  return kept;
}

// Two nodes of a test cluster share one kernel and see each other's devices. Each leaves its mark before it attaches.
async function usedByOthers(parts: NodeParts, { store, key }: Source): Promise<boolean> {
  return (await store.marks.of(key)).some(({ node }) => node !== parts.self.node);
}

/** A loop device as mountinfo knows it. */
export const blockDevice = async ({ path }: Loop): Promise<BlockDevice> => ({
  number: await deviceNumber(path),
  name: basename(path),
});
