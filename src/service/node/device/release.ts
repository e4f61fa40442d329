import { DriverError } from '../../../model/fault.ts';
import type { Loop } from '../../../linux/loop.ts';
import type { Mount } from '../../../run/mounts.ts';
import { blockDevice, detachUnnamed, loopsIn } from './loops.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';

/** Ends every use of a volume on this node: publications, staging mount, loop devices. The record stays, emptied. */
export async function tearDown(host: NodeHost, record: NodeRecord): Promise<NodeRecord> {
  for (const { path } of record.targets) await host.mounter.unmount(path);
  return release(host, { ...record, targets: [] }, loopsIn(record));
}

/** Unmounts the staging path and detaches the devices; all are gone when this resolves. */
export async function release(
  host: NodeHost,
  record: NodeRecord,
  loops = loopsIn(record),
): Promise<NodeRecord> {
  await host.background.settle(record.volumeId);
  await host.freezer.thawLeft(record.volumeId);
  const attached: Loop[] = [];
  for (const loop of loops) if (await host.losetup.isAttached(loop)) attached.push(loop);
  for (const loop of attached) await requireOnlyStaging(host, record, loop);
  for (const loop of attached) {
    await unmountStaging(host, record, loop);
    await host.losetup.detach(loop);
  }
  const empty: NodeRecord = { ...record, loop: null, staged: false };
  await host.records.write(empty);
  return empty;
}

/** A bind does not keep a loop device attached: detached under it, the device node would show the next file. */
async function requireOnlyStaging(
  { mounter }: Pick<NodeHost, 'mounter'>,
  { volumeId, stagingPath }: NodeRecord,
  loop: Loop,
): Promise<void> {
  const [other] = (await mounter.ofBeside(await blockDevice(loop), stagingPath)).elsewhere;
  if (other) throw stillMounted(volumeId, other);
}

/**
 * Unmounts this device from the staging path; another mount there belongs to the caller. Where the kubelet's directory
 * is bound to another one, the copies below that one end too, unless an administrator made the bind private since.
 */
async function unmountStaging(
  { mounter }: Pick<NodeHost, 'mounter'>,
  { volumeId, stagingPath }: NodeRecord,
  loop: Loop,
): Promise<void> {
  const device = await blockDevice(loop);
  const { at } = await mounter.ofBeside(device, stagingPath);
  if (at.length === 0) return;
  await mounter.unmount(stagingPath);
  const isLeft = async (point: string) =>
    (await mounter.of(device)).some((mount) => mount.point === point);
  for (const { point } of at) if (await isLeft(point)) await mounter.unmount(point);
  const [left] = await mounter.of(device);
  if (left) throw stillMounted(volumeId, left);
}

const stillMounted = (id: string, { point }: Mount): DriverError =>
  new DriverError(
    'in-use',
    `volume ${id} is still mounted at ${JSON.stringify(point)}; unmount it there first`,
  );

/** Removes the mark, then the record. While the mark stays, other nodes believe that this node uses the image. */
export async function forget(host: NodeHost, record: NodeRecord): Promise<void> {
  // The volume may be in another root by now, or gone from the one that it moved to while this node was lost.
  const root = await host.roots.byId(record.volumeId, record.imagePath);
  if (root) {
    await detachUnnamed(host, root.store, record);
    await root.store.marks.clear(record.generation, host.self.node);
  }
  host.freezer.unwatch(record.volumeId);
  await host.records.remove(record.volumeId);
}
