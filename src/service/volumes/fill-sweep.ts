import { ownerOfKey } from '../../model/ids.ts';
import { noteUnreadable } from '../../store/json.ts';
import type { Copy } from '../../store/notes/copies.ts';
import type { RootStore } from '../../store/root.ts';
import { removeCopyEdge } from './fill.ts';
import type { ServiceHost } from '../host.ts';
import { reclaim } from '../parents/reclaim.ts';

/**
 * Removes the edges that fills into other roots left here: of a server that died or slept, or did not have both
 * roots. The edge is made after the claim that it is for, and a file's name is used once: so without that claim
 * no fill needs it any more. An edge into a root that is away, or that this driver does not have, stays.
 */
export async function sweepCopies(host: ServiceHost, store: RootStore): Promise<void> {
  const copies = await store.copies.all();
  if (copies.length === 0) return;
  const roots = new Map((await host.roots.all()).map((each) => [String(each.id), each]));
  for (const copy of copies) {
    const target = roots.get(copy.to);
    if (!target) continue;
    // Where the record of the volume cannot be read, nothing shows whether it is still being filled.
    const underWay = await isUnderWay(target, copy).catch(noteUnreadable(target.bad));
    if (underWay !== false) continue;
    await removeCopyEdge(store, copy);
    host.log.info({ ...copy }, 'removed an edge that a copy into another root left here');
    await reclaim(host, store, copy.parent);
  }
}

async function isUnderWay({ volumes }: RootStore, { parent, child }: Copy): Promise<boolean> {
  const held = await volumes.read(ownerOfKey(child));
  const claim = held?.value.claim;
  return claim?.image === child && claim.fill?.from?.key === parent;
}
