import { DriverError } from '../../../model/fault.ts';
import type { Loop } from '../../../linux/loop.ts';
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
  for (const loop of attached) await requireNoOtherMount(host, record, loop);
  for (const loop of attached) {
    if (await hasStaging(host, record, loop)) await host.mounter.unmount(record.stagingPath);
    await host.losetup.detach(loop);
  }
  const empty: NodeRecord = { ...record, loop: null, staged: false };
  await host.records.write(empty);
  return empty;
}

/** A bind does not keep a loop device attached: detached under it, the device node would show the next file. */
async function requireNoOtherMount(
  { mounter }: Pick<NodeHost, 'mounter'>,
  { volumeId, stagingPath }: NodeRecord,
  loop: Loop,
): Promise<void> {
  const mounts = await mounter.of(await blockDevice(loop));
  const other = mounts.find(({ point }) => point !== stagingPath);
  if (!other) return;
  throw new DriverError(
    'in-use',
    `volume ${volumeId} is still mounted at ${JSON.stringify(other.point)}; unmount it there first`,
  );
}

/** True when this device is mounted at the staging path. Another mount there belongs to the caller. */
async function hasStaging(
  { mounter }: Pick<NodeHost, 'mounter'>,
  { stagingPath }: NodeRecord,
  loop: Loop,
): Promise<boolean> {
  const mounts = await mounter.of(await blockDevice(loop));
  return mounts.some(({ point }) => point === stagingPath);
}

/** Removes the mark, then the record. While the mark stays, other nodes believe that this node uses the image. */
export async function forget(host: NodeHost, record: NodeRecord): Promise<void> {
  const root = await host.roots.byId(record.volumeId);
  if (root) {
    await detachUnnamed(host, root.store, record);
    await root.store.marks.clear(record.generation, host.self.node);
  }
  host.freezer.unwatch(record.volumeId);
  await host.records.remove(record.volumeId);
}
