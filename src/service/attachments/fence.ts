import { sameCapability, type Capability } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { fileKey } from '../../model/ids.ts';
import { cloneErrno } from '../../gpfs/mmclone.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import { releaseClaim } from '../claims/claims.ts';
import { barVolume } from '../claims/bar.ts';
import { outwaited } from '../claims/outwait.ts';
import type { ClaimPlan, ServiceHost } from '../host.ts';
import { cutOff, dropNext, isCut } from './cut-off.ts';
import { operate } from '../claims/operate.ts';
import { isFencing } from '../claims/own-claim.ts';
import { imageOf } from '../claims/data-files.ts';

/** The node that a volume is attached to, and how it uses it. */
export interface WantedAttachment {
  readonly node: string;
  readonly capability: Capability;
  readonly readonly: boolean;
}

/** Cuts nodes off from a volume, and attaches it. Throws in-use where this GPFS cannot cut them off. */
export async function fence(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  { attachment, nodes }: { readonly attachment: Attachment; readonly nodes: readonly string[] },
): Promise<void> {
  const { id, value } = held;
  if (!(await store.abilities.read()).snapOpen) throw stillOpen(id, nodes);
  host.log.warn({ volume: id, nodes, for: attachment.node }, 'cutting nodes off from a volume');
  const parent = fileKey(value.id, held.version + 1, host.nonce());
  const during = {
    ...value,
    attachments: [...value.attachments, { ...attachment, state: 'fencing' as const }],
  };
  try {
    await makeGeneration(host, store, held, { during, parent });
  } catch (error) {
    throw cloneErrno(error) === 'EBUSY' ? stillOpen(id, nodes, error) : error;
  }
}

const stillOpen = (id: string, nodes: readonly string[], cause?: unknown): DriverError =>
  new DriverError(
    'in-use',
    `volume ${id} may still be open on node ${nodes.join(' and ')}, which has not unstaged it, and this GPFS takes no snapshot of an open file; bring that node back or restart it`,
    cause,
  );

function makeGeneration(
  host: ServiceHost,
  store: RootStore,
  from: Held<VolumeRecord>,
  { during, parent }: Pick<ClaimPlan, 'parent'> & { readonly during: VolumeRecord },
): Promise<Held<VolumeRecord>> {
  const image = fileKey(during.id, from.version + 1, host.nonce());
  return operate(host, store, {
    id: from.id,
    from,
    plan: { op: 'fence', parent, image, fenced: imageOf(during).key },
    during,
    durability: 'name',
    work: (claimed) => cutOff(host, store, claimed),
  });
}

/**
 * Resumes an interrupted fence for the same attachment from the parent that it cut. The next image gets another
 * name: a server that stalled may still make or remove the one before. False when there is no such fence.
 */
export async function resumeFence(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  wanted: WantedAttachment,
): Promise<boolean> {
  const { id, value } = held;
  const { claim } = value;
  if (!claim || !isFor(value, wanted)) return false;
  if (!(await isCut(store, value))) return false;
  if (await outwaited(host, store, store.volumes, held)) return false;
  await host.claims.requireDead(store, claim, `volume ${id}`);
  host.log.warn(
    { volume: id, for: wanted.node },
    'resuming a fence that its server left half done',
  );
  await barVolume(host, store, value);
  using mine = host.claims.begin(claim);
  try {
    const taken = await store.volumes.swap(id, held, { ...value, claim: mine.claim });
    await dropNext(store, taken.value);
    await makeGeneration(host, store, taken, { during: taken.value, parent: claim.parent });
  } catch (error) {
    store.volumes.failing(mine.claim, error);
    await host.claims.release(() => releaseClaim(store.volumes, id, mine.claim));
    throw error;
  }
  return true;
}

const isFor = ({ attachments }: VolumeRecord, wanted: WantedAttachment): boolean =>
  attachments.some(
    (each) =>
      isFencing(each) &&
      each.node === wanted.node &&
      each.readonly === wanted.readonly &&
      sameCapability(each.capability, wanted.capability),
  );
