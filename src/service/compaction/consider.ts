import { judge, type Verdict } from '../../model/compaction.ts';
import type { FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import { usersOf } from '../attachments/users.ts';
import type { ServiceHost } from '../host.ts';
import { readChain } from './chain.ts';
import { endAbandoned } from './give-way.ts';
import type { Head } from './heads.ts';
import { redirect, type EndMoveHost, type RedirectHost } from './redirect.ts';

/** What compaction of one file uses. */
export type CompactionHost = RedirectHost & Pick<ServiceHost, 'compaction' | 'compacted'>;

/** Block counts reach other nodes of GPFS late: they are read twice, this far apart, before anything is copied. */
const settleMs = 2_000;

/** The outcome of checking one file for compaction. */
export type CheckOutcome =
  | { readonly kind: 'done' }
  /** Nothing can be done until an event puts the item on the queue again. */
  | { readonly kind: 'waits'; readonly why: string }
  /** It failed, and may succeed later. */
  | { readonly kind: 'failed'; readonly why: string };

/** The parent that the head shall hang on is `verdict.until`; `next` is the parent that the last step gave it. */
interface Goal {
  readonly verdict: NonNullable<Verdict>;
  readonly next: FileKey | null;
}

/** Compacts a head step by step until nothing is left to do; `find` reads it again after each step. */
export async function consider(
  host: CompactionHost,
  store: RootStore,
  find: () => Promise<Head | undefined>,
): Promise<CheckOutcome> {
  let goal: Goal | undefined;
  for (;;) {
    const head = await find();
    if (!head) return { kind: 'done' };
    if (head.claim) {
      const busy = await endLostClaim(host, store, head, find);
      if (busy) return busy;
      continue;
    }
    const next = await oneStep(host, store, head, goal);
    if ('kind' in next) return next;
    goal = next;
  }
}

/**
 * One redirect towards the goal, or towards a new goal. Resolves to that goal, or to the outcome where the work on
 * this head ends.
 */
async function oneStep(
  host: CompactionHost,
  store: RootStore,
  head: Head,
  goal: Goal | undefined,
): Promise<Goal | CheckOutcome> {
  const kept = goal && isUnderWay(head, goal) ? goal.verdict : undefined;
  const verdict = kept ?? (await judged(host, store, head));
  if (!verdict) return { kind: 'done' };
  const obstacle = await obstacleTo(host, store, head);
  if (obstacle !== undefined) return { kind: 'waits', why: obstacle };
  if (!kept && !(await isStillSo(host, store, head, verdict)))
    return { kind: 'failed', why: `block counts above ${head.id} are still changing` };
  return { verdict, next: await step(host, store, head, verdict) };
}

/** False where another operation put a parent above the head meanwhile: the goal does not know that one. */
const isUnderWay = ({ parent }: Head, { verdict, next }: Goal): boolean =>
  parent === next && parent !== verdict.until;

async function step(
  host: CompactionHost,
  store: RootStore,
  head: Head,
  { reason }: NonNullable<Verdict>,
): Promise<FileKey | null> {
  const { above } = await readChain(store, head, { redirectParent: false, deep: Infinity });
  const [nearest, next] = above;
  if (!nearest) return null;
  const move = { from: nearest.key, to: next?.key ?? null, depth: above.length };
  await redirect(host, store, head, move);
  host.log.info(
    { id: head.id, kind: head.kind, ...move, copiedAtMost: nearest.heldBytes, why: reason },
    'compacted',
  );
  host.compacted(store, nearest.heldBytes);
  return move.to;
}

async function judged(
  host: Pick<ServiceHost, 'compaction'>,
  store: RootStore,
  head: Head,
): Promise<Verdict> {
  const { redirectParent } = await store.abilities.read();
  if (head.kind !== 'volume' && !redirectParent) return undefined;
  const { rule, maxDepth } = host.compaction;
  return judge(await readChain(store, head, { redirectParent, deep: maxDepth / 2 }), rule);
}

async function isStillSo(
  host: Pick<ServiceHost, 'compaction' | 'clock'>,
  store: RootStore,
  head: Head,
  { until }: NonNullable<Verdict>,
): Promise<boolean> {
  await host.clock.sleep(settleMs);
  const again = await judged(host, store, head);
  return again?.until === until;
}

/** Why a head must not be redirected now, although that would pay off. */
async function obstacleTo(
  host: Pick<ServiceHost, 'compaction'>,
  store: RootStore,
  { volume }: Head,
): Promise<string | undefined> {
  if (host.compaction.paused) return 'compaction is paused by configuration';
  if (!volume) return undefined;
  const [user] = await usersOf(store, volume);
  if (user === undefined) return undefined;
  if (host.compaction.attached === 'never')
    return `attached to node ${user}, and compaction of attached volumes is off`;
  if ((await store.abilities.read()).redirectAttached) return undefined;
  return `attached to node ${user}, and no probe has shown that this GPFS redirects files in use`;
}

/** Ends a compaction whose server is gone. Undefined where no claim is left. */
export async function endLostClaim(
  host: EndMoveHost,
  store: RootStore,
  { id, claim }: Head,
  find: () => Promise<Head | undefined>,
): Promise<CheckOutcome | undefined> {
  if (!claim) return undefined;
  const busy = {
    kind: 'failed',
    why: `${id} is busy (${claim.op} by node ${claim.node})`,
  } as const;
  // The retry of a request ends its operation; a compaction is ended only here, since no request repeats it.
  if (claim.op !== 'compact' || (await host.claims.fateOf(store, claim)) === 'alive') return busy;
  await endAbandoned(host, store, claim, find);
  return (await find())?.claim?.nonce === claim.nonce ? busy : undefined;
}
