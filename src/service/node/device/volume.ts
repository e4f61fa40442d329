import { isReaderOnly, isSharedReading, type Capability } from '../../../model/capability.ts';
import { DriverError } from '../../../model/fault.ts';
import type { FileKey, LocalId } from '../../../model/ids.ts';
import type { FileIdentity } from '../../../linux/loop.ts';
import { undefinedWhenMissing } from '../../../run/files.ts';
import type { RootStore } from '../../../store/root.ts';
import type { Content } from '../../../store/schema/data.ts';
import type { VolumeRecord } from '../../../store/schema/volume.ts';
import type { NodeHost } from '../host.ts';
import type { NodeRecord } from '../state/records.ts';

const pollMs = 100;

/** A volume as its record was when it was read, for use on this node. */
export interface NodeVolume {
  readonly id: string;
  readonly store: RootStore;
  readonly local: LocalId;
  readonly record: VolumeRecord;
  /** The current generation: key, path and inode of the image file. */
  readonly key: FileKey;
  readonly path: string;
  readonly inode: bigint;
}

/** Reads a volume's record. Throws volume-missing, or unavailable when its root is not there. */
export async function readVolume(host: Pick<NodeHost, 'roots'>, id: string): Promise<NodeVolume> {
  const found = await host.roots.byId(id);
  const held = found && (await found.store.volumes.read(found.local));
  if (!held || held.value.state === 'deleted')
    throw new DriverError('volume-missing', `volume ${id} does not exist`);
  const record = held.value;
  if (record.state !== 'ready' || record.image === null)
    throw new DriverError(
      'wrong-state',
      `volume ${id} is ${record.state} and cannot be used now; Kubernetes tries again, and gpfs-csi doctor says what to do where that does not end`,
    );
  const { key, inode } = record.image;
  const path = found.store.layout.data('volumes', key);
  return { id, ...found, record, key, path, inode };
}

/**
 * How this node may use the volume: `readonly`, and `shared` where several nodes read one file system.
 * Throws wrong-state when the volume is not attached to this node.
 */
export function requireAttached(
  { self }: Pick<NodeHost, 'self'>,
  { id, record }: NodeVolume,
  capability: Capability,
): { readonly readonly: boolean; readonly shared: boolean } {
  const attachment = record.attachments.find(({ node }) => node === self.node);
  if (!attachment)
    throw new DriverError(
      'wrong-state',
      `volume ${id} is not attached to this node (${self.node}); attach it first`,
    );
  if (attachment.state === 'fencing')
    throw new DriverError(
      'wrong-state',
      `volume ${id} is not ready for this node (${self.node}) yet: other nodes are being cut off from it; wait for the attachment`,
    );
  const attached = attachment.capability;
  if (attached.access.kind !== capability.access.kind)
    throw new DriverError(
      'wrong-state',
      `volume ${id} is attached for ${attached.access.kind} access, not for ${capability.access.kind}; delete the pods that use it, so that it is attached again`,
    );
  const both = [attached, capability];
  const readonly = attachment.readonly || both.some(({ mode }) => isReaderOnly(mode));
  return { readonly, shared: both.some(isSharedReading) };
}

/** The image file by device and inode. Throws when the name leads to another file than the record says. */
export async function imageIdentity(host: WaitingHost, volume: NodeVolume): Promise<FileIdentity> {
  const stat = await waitForSize(host, volume);
  if (stat.inode === volume.inode) return { device: stat.device, inode: stat.inode };
  throw new DriverError(
    'wrong-state',
    `${volume.path} has inode ${stat.inode}, the record of volume ${volume.id} says ${volume.inode}; do not use it before that is explained`,
  );
}

/** What waiting for a size needs. */
type WaitingHost = Pick<NodeHost, 'limits' | 'clock'>;

/** Waits until the image shows the size of the record here; another node may have grown it a moment ago. */
export async function waitForSize(host: WaitingHost, { id, path, record, store }: NodeVolume) {
  for (let waited = 0; ; waited += pollMs) {
    const stat = await store.files.stat(path).catch(undefinedWhenMissing);
    if (!stat) {
      throw new DriverError(
        'wrong-state',
        `the image ${path} of volume ${id} is not there, though its record names it; do not delete the volume: find out who moved or removed that file (mmlssnapshot, backups), put it back under this name, and run gpfs-csi doctor`,
      );
    }
    if (stat.size >= record.bytes) return stat;
    if (waited >= host.limits.sizeMs)
      throw new DriverError(
        'unavailable',
        `image ${path} has ${stat.size} bytes on this node and should have ${record.bytes}; try again`,
      );
    await host.clock.sleep(pollMs);
  }
}

/** Records what the image holds. Throws wrong-state as `updateOurs` does: this node may know only an old image. */
export const recordContent = (
  host: Pick<NodeHost, 'self'>,
  volume: NodeVolume,
  content: Content,
): Promise<void> => updateOurs(host, volume, (record) => ({ ...record, content }));

/** Changes the volume's record. Throws wrong-state when it was detached from this node or got a new image meanwhile. */
export async function updateOurs(
  { self }: Pick<NodeHost, 'self'>,
  { id, store, local, key }: NodeVolume,
  change: (record: VolumeRecord) => VolumeRecord,
): Promise<void> {
  await store.volumes.update(
    local,
    (record) => {
      const ours = record.attachments.some(
        ({ node, state }) => node === self.node && state !== 'fencing',
      );
      if (!ours || record.image?.key !== key)
        throw new DriverError(
          'wrong-state',
          `volume ${id} was taken from this node (${self.node}) while it was being staged; Kubernetes stages it again where it is attached now`,
        );
      return change(record);
    },
    'name',
  );
}

/** True when the volume's class asks for freezes, and it is mounted here for writing. */
export const mayBeFrozen = ({ record }: NodeVolume, { kind, readonly }: NodeRecord): boolean =>
  record.options.freeze === 'auto' && kind === 'mount' && !readonly;
