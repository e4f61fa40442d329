import { isReaderOnly } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { isDeadMark } from '../../store/marks.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import { freezingNode } from '../snapshots/freeze.ts';
import { imageOf } from '../claims/data-files.ts';

/**
 * The volumes of a group that must be frozen while it is cut. No node can write to the others while their records
 * do not change. Throws wrong-state for a volume that may be written to and cannot be frozen.
 */
export async function volumesToFreeze(
  store: RootStore,
  volumes: readonly VolumeRecord[],
): Promise<readonly VolumeRecord[]> {
  const found: VolumeRecord[] = [];
  for (const volume of volumes) {
    const writer = volume.attachments.find(isWriting);
    if (!writer) await requireNoLostWriter(store, volume);
    else if (freezingNode(volume) === undefined) throw cannotFreeze(volume, writer);
    else found.push(volume);
  }
  return found;
}

const isWriting = ({ readonly, capability }: Attachment): boolean =>
  !readonly && !isReaderOnly(capability.mode);

/**
 * Throws wrong-state where a lost node may still write to the image, although the volume is no longer attached to
 * it.
 */
async function requireNoLostWriter(store: RootStore, volume: VolumeRecord): Promise<void> {
  const readers = volume.attachments.map(({ node }) => node);
  for (const mark of await store.marks.of(imageOf(volume).key)) {
    if (readers.includes(mark.node)) continue;
    if (isDeadMark(mark, await store.nodes.read(mark.node))) continue;
    throw notAtOneMoment(
      volume,
      `node ${mark.node} may still have it open for writing`,
      'bring that node back or restart it',
    );
  }
}

function cannotFreeze(volume: VolumeRecord, { node, capability }: Attachment): DriverError {
  if (capability.access.kind === 'block')
    return notAtOneMoment(
      volume,
      `it is attached to node ${node} for writing as a raw block device, and only file systems can be frozen`,
      'detach it, or take it out of the group',
    );
  return notAtOneMoment(
    volume,
    `it is mounted on node ${node} for writing, and its class does not let its file system be frozen`,
    'set freeze: auto with a VolumeAttributesClass and restart its pod, or detach it',
  );
}

const notAtOneMoment = ({ id }: VolumeRecord, why: string, help: string): DriverError =>
  new DriverError(
    'wrong-state',
    `volume ${id} cannot be cut at one moment with the others of its group: ${why}; ${help}`,
  );
