import { raced } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import { isFencing } from '../claims/own-claim.ts';
import { beginOnlyIfAwaited } from '../claims/patience.ts';
import { settleVolume } from '../claims/settle.ts';
import type { ServiceHost } from '../host.ts';

/** Detaches a volume from a node, or from all of them where `node` is empty. */
export async function detach(
  host: ServiceHost,
  store: RootStore,
  found: Held<VolumeRecord>,
  node: string,
): Promise<void> {
  const isGoing = (each: Attachment) => node === '' || each.node === node;
  const { value, id } = await withoutFence(host, store, found, isGoing);
  const going = value.attachments.filter(isGoing);
  beginOnlyIfAwaited();
  if (going.length > 0)
    await store.volumes.update(id, (now) => withoutAttachments(now, isGoing), 'name');
  for (const each of going) await store.attached.remove(localIdOf(each.node), id);
  // A volume that could not be compacted while it was in use can be compacted now. Also where there is nothing to
  // detach: this may be the repetition of a call that failed after it had detached.
  if (value.parent !== null) await host.backlog.add(store, id);
}

/** The attachments of a volume are certain only once a fence on it has ended. */
async function withoutFence(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  isGoing: (each: Attachment) => boolean,
): Promise<Held<VolumeRecord>> {
  const { claim, attachments } = held.value;
  if (claim?.op !== 'fence' || !attachments.some(isGoing)) return held;
  return (await settleVolume(host, store, held.value.id)) ?? held;
}

function withoutAttachments(
  now: VolumeRecord,
  isGoing: (each: Attachment) => boolean,
): VolumeRecord {
  if (now.attachments.some((each) => isGoing(each) && isFencing(each)))
    throw raced(
      `volume ${now.id} is being attached, while other nodes are cut off from it; try again`,
    );
  return { ...now, attachments: now.attachments.filter((each) => !isGoing(each)) };
}
