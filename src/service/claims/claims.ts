import { DriverError, isFault } from '../../model/fault.ts';
import { currentContext } from '../../observe/context.ts';
import type { Log } from '../../observe/log.ts';
import type { Held, Records } from '../../store/records.ts';
import type { Claim, Fill } from '../../store/schema/claim.ts';
import type { Claims, ClaimPlan, ServiceHost } from '../host.ts';
import { showBytes, type Bytes } from '../../model/bytes.ts';

type ClaimsHost = Pick<ServiceHost, 'self' | 'clock' | 'nonce' | 'log'>;

/** Claims made by this server. */
export function claimsOf({ self, clock, nonce, log }: ClaimsHost): Claims {
  const active = new Map<string, PromiseWithResolvers<undefined>>();
  const fateOf: Claims['fateOf'] = async (store, claim) => {
    if (claim.instance !== self.instance) return store.nodes.fateOf(claim);
    return active.has(claim.nonce) ? 'alive' : 'gone';
  };
  return {
    ...releasesOf(log),
    fateOf,
    begin: (plan) => {
      const claim = {
        ...plan,
        node: self.node,
        instance: self.instance,
        boot: self.bootId,
        nonce: nonce(),
        sinceMs: clock.now(),
        released: false,
        ...requestNow(plan),
      };
      const work = Promise.withResolvers<undefined>();
      active.set(claim.nonce, work);
      const end = (): void => {
        active.delete(claim.nonce);
        work.resolve(undefined);
      };
      return { claim, [Symbol.dispose]: end };
    },
    ended: ({ nonce }) => active.get(nonce)?.promise,
    requireDead: async (store, claim, what) => {
      refuseLiving(await fateOf(store, claim), claim, what);
    },
  };
}

/** A claim that is taken over keeps the request that began it. */
function requestNow({ request }: ClaimPlan): Pick<Claim, 'request'> {
  const id = request ?? currentContext().requestId;
  return id === undefined ? {} : { request: id };
}

const doing = ({ op, fill }: Claim): string => (fill ? `${op}: ${showFill(fill)}` : op);

function refuseLiving(fate: 'alive' | 'silent' | 'gone', claim: Claim, what: string): void {
  if (fate === 'alive')
    throw new DriverError(
      'busy',
      `${what} is busy: node ${claim.node} is at work on it (${doing(claim)}); try again`,
    );
  // A stalled server could still truncate the file to the size that it was asked for, so an expansion is taken over
  // only from a server that is known to be gone.
  if (fate === 'silent' && claim.op === 'expand')
    throw new DriverError(
      'unavailable',
      `${what} was being expanded by node ${claim.node}, which is silent but not known to be down; restart the driver there or remove its file in nodes/`,
    );
}

/** Marks the claim in the record as released; does nothing where the record has another claim. */
export async function releaseClaim<T extends { readonly claim: Claim | null }>(
  records: Records<T>,
  id: string,
  claim: Claim,
): Promise<void> {
  const release = (now: T): T => {
    if (now.claim?.nonce !== claim.nonce)
      throw new DriverError('busy', `${id} is claimed by another server; ask again`);
    return { ...now, claim: { ...now.claim, released: true } };
  };
  // Another server changed the record, so the claim is not ours any more.
  await records.update(id, release).catch((error: unknown) => {
    if (!isFault(error, 'busy')) throw error;
  });
}

/** What is written into a record, beside the claim, before the work on it begins. */
export interface Marking<T> {
  readonly held: Held<T>;
  readonly plan: ClaimPlan;
  readonly during?: Partial<T>;
}

/**
 * Works on a record under a claim of this server; the claim is released where the work, or writing the claim,
 * fails.
 */
export async function underClaim<T extends { readonly claim: Claim | null }, R>(
  claims: Claims,
  records: Records<T>,
  { held, plan, during }: Marking<T>,
  work: (marked: Held<T>, claim: Claim) => Promise<R>,
): Promise<R> {
  const { id, value } = held;
  using mine = claims.begin(plan);
  const { claim } = mine;
  try {
    return await work(await records.swap(id, held, { ...value, ...during, claim }), claim);
  } catch (error) {
    records.failing(claim, error);
    await claims.release(() => releaseClaim(records, id, claim));
    throw error;
  }
}

function releasesOf(log: Log): Pick<Claims, 'release' | 'retry'> {
  const unreleased = new Set<() => Promise<void>>();
  const release = async (attempt: () => Promise<void>): Promise<void> => {
    try {
      await attempt();
      unreleased.delete(attempt);
    } catch (error) {
      // Once, and not at each retry: a file system may be away for days.
      if (!unreleased.has(attempt))
        log.warn({ error }, 'a claim stays until the file system can be written to again');
      unreleased.add(attempt);
    }
  };
  return {
    release,
    retry: async () => {
      for (const attempt of [...unreleased]) await release(attempt);
    },
  };
}

/** The progress of a fill that has not begun. */
export const newFill = (thick: boolean): Fill => ({
  thick,
  allocatedBytes: 0n,
  copiedBytes: 0n,
  from: null,
});

/** The progress of a fill in words. */
export function showFill({ thick, allocatedBytes, copiedBytes, from }: Fill): string {
  const copied = (bytes: Bytes) => `${showBytes(copiedBytes)} of ${showBytes(bytes)} copied`;
  return [
    ...(thick ? [`${showBytes(allocatedBytes)} allocated`] : []),
    ...(from ? [copied(from.bytes)] : []),
  ].join(', ');
}
