import { patience, pause } from './patience.ts';
import type { Held, Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { ServiceHost } from '../host.ts';

/**
 * Waits while a living server works on an object, as long as the request may wait. True when that operation has
 * ended: the record must be read again. False when it goes on, when its server is not alive, and for what takes long
 * or gives way by itself: a fill, a compaction.
 */
export async function outwaited<T extends { readonly claim: Claim | null }>(
  host: Pick<ServiceHost, 'claims'>,
  store: RootStore,
  records: Records<T>,
  { id, value: { claim } }: Held<T>,
): Promise<boolean> {
  if (!claim || claim.fill !== undefined || claim.op === 'compact') return false;
  // Another server is asked at random moments: a fixed order would always let the same server be first.
  for (let tries = 0; !patience().aborted; tries += 1) {
    if ((await host.claims.fateOf(store, claim)) !== 'alive') return false;
    const ended = host.claims.ended(claim);
    await (ended ? Promise.race([pause(tries), ended]) : pause(tries));
    if ((await records.read(id))?.value.claim?.nonce !== claim.nonce) return true;
  }
  return false;
}
