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
  if (!claim || isLong(claim)) return false;
  for (let tries = 0; !patience().aborted; tries += 1) {
    if ((await host.claims.fateOf(store, claim)) !== 'alive') return false;
    await mayHaveEnded(host, claim, tries);
    if ((await records.read(id))?.value.claim?.nonce !== claim.nonce) return true;
  }
  return false;
}

const isLong = ({ op, fill }: Claim): boolean => fill !== undefined || op === 'compact';

/** The end of work of this process is known at once; the record of another server is read from time to time. */
const mayHaveEnded = (
  { claims }: Pick<ServiceHost, 'claims'>,
  claim: Claim,
  tries: number,
): Promise<unknown> => {
  const ended = claims.ended(claim);
  return ended ? Promise.race([pause(tries), ended]) : pause(tries);
};
