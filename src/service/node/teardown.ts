import { DriverError } from '../../model/fault.ts';
import type { Loop } from '../../linux/loopcheck.ts';
import { blockDevice, detachUnnamed, loopsIn } from './devices.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';

/** Ends every use of a volume on this node: publications, staging mount, loop devices. The record stays, emptied. */
export async function tearDown(parts: NodeParts, record: NodeRecord): Promise<NodeRecord> {
  for (const { path } of record.targets) await parts.mounter.unmount(path);
  return release(parts, { ...record, targets: [] }, loopsIn(record));
}

/** Takes the staging mount and the devices away; each is really gone when this resolves. */
export async function release(
  parts: NodeParts,
  record: NodeRecord,
  loops = loopsIn(record),
): Promise<NodeRecord> {
  await parts.background.settle(record.volumeId);
  await parts.freezer.thawLeft(record.volumeId);
  const attached: Loop[] = [];
  for (const loop of loops) if (await parts.losetup.isAttached(loop)) attached.push(loop);
  for (const loop of attached) await requireNoOtherMount(parts, record, loop);
  for (const loop of attached) {
    if (await hasStaging(parts, record, loop)) await parts.mounter.unmount(record.stagingPath);
    await parts.losetup.detach(loop);
  }
  const empty: NodeRecord = { ...record, loop: null, staged: false };
  await parts.records.write(empty);
  return empty;
}

/** A bind does not hold a loop device: detached under it, the node would show whatever file comes next. */
async function requireNoOtherMount(
  parts: NodeParts,
  { volumeId, stagingPath }: NodeRecord,
  loop: Loop,
): Promise<void> {
  const mounts = await parts.mounter.of(await blockDevice(loop));
  const other = mounts.find(({ point }) => point !== stagingPath);
  if (!other) return;
  throw new DriverError(
    'in-use',
    `volume ${volumeId} is still mounted at ${JSON.stringify(other.point)}; unmount it there first`,
  );
}

/** Only our own device: the path is the caller's, and what else is mounted there is not ours to end. */
async function hasStaging(
  parts: NodeParts,
  { stagingPath }: NodeRecord,
  loop: Loop,
): Promise<boolean> {
  const mounts = await parts.mounter.of(await blockDevice(loop));
  return mounts.some(({ point }) => point === stagingPath);
}

/** Removes the mark, then the record: while the mark stays, other nodes take the image to be in use here. */
export async function forget(parts: NodeParts, record: NodeRecord): Promise<void> {
  const root = await parts.roots.byId(record.volumeId);
  if (root) {
    await detachUnnamed(parts, root.store, record);
    await root.store.marks.clear(record.generation, parts.self.node);
  }
  parts.freezer.unwatch(record.volumeId);
  await parts.records.remove(record.volumeId);
}
