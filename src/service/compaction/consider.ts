import { judge } from '../../model/compaction.ts';
import type { Verdict } from '../../model/compaction.ts';
import type { RootStore } from '../../store/root.ts';
import { usersOf } from '../attachments.ts';
import type { ServiceHost } from '../host.ts';
import { readChain } from './chain.ts';
import { endAbandoned } from './giveway.ts';
import type { Head } from './heads.ts';
import { redirect } from './redirecting.ts';

/** Block counts lag behind on other nodes of GPFS: they are read twice, this far apart, before anything is copied. */
const settleMs = 2_000;

/** What a look at a head came to. */
export type Outcome =
  | { readonly kind: 'done' }
  /** Nothing can be done before something happens that puts the item on the queue again. */
  | { readonly kind: 'waits'; readonly why: string }
  /** It did not work, and may later. */
  | { readonly kind: 'failed'; readonly why: string };

/** Looks at a head until nothing is left to compact; `find` reads it anew after each step. */
export async function consider(
  host: ServiceHost,
  store: RootStore,
  find: () => Promise<Head | undefined>,
): Promise<Outcome> {
  let goal: Verdict;
  for (;;) {
    const head = await find();
    if (!head) return { kind: 'done' };
    if (head.claim) {
      const busy = await ofLostClaim(host, store, head, find);
      if (busy) return busy;
      continue;
    }
    if (!goal || head.parent === goal.until) goal = await judgeTwice(host, store, head);
    const stopped = await stepTowards(host, store, head, goal);
    if (stopped) return stopped;
  }
}

/** One redirect; what ends the work on this head when there is none to make, or none that may be made now. */
async function stepTowards(
  host: ServiceHost,
  store: RootStore,
  head: Head,
  goal: Verdict,
): Promise<Outcome | undefined> {
  if (!goal) return { kind: 'done' };
  const obstacle = await obstacleTo(host, store, head);
  if (obstacle !== undefined) return { kind: 'waits', why: obstacle };
  await step(host, store, head, goal);
  return undefined;
}

async function step(
  host: ServiceHost,
  store: RootStore,
  head: Head,
  { reason }: NonNullable<Verdict>,
): Promise<void> {
  const { above } = await readChain(store, head, { redirectParent: false });
  const [nearest, next] = above;
  if (!nearest) return;
  const move = { from: nearest.key, to: next?.key ?? null, depth: above.length };
  await redirect(host, store, head, move);
  host.log.info(
    { id: head.id, kind: head.kind, ...move, copiedAtMost: nearest.heldBytes, why: reason },
    'compacted',
  );
  host.compacted(store, nearest.heldBytes);
}

async function judgeTwice(host: ServiceHost, store: RootStore, head: Head): Promise<Verdict> {
  const { redirectParent } = await store.abilities.read();
  if (head.kind !== 'volume' && !redirectParent) return undefined;
  const look = async () =>
    judge(await readChain(store, head, { redirectParent }), host.compaction.rule);
  const first = await look();
  if (!first) return undefined;
  await host.clock.sleep(settleMs);
  const second = await look();
  return second?.until === first.until ? second : undefined;
}

/** Why a head that deserves it must not be redirected now. */
async function obstacleTo(
  host: ServiceHost,
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

/** Ends a compaction whose server is gone. Undefined when there is no claim, or none any more. */
export async function ofLostClaim(
  host: ServiceHost,
  store: RootStore,
  { id, claim }: Head,
  find: () => Promise<Head | undefined>,
): Promise<Outcome | undefined> {
  if (!claim) return undefined;
  const busy = {
    kind: 'failed',
    why: `${id} is busy (${claim.op} by node ${claim.node})`,
  } as const;
  // Another operation's own retry ends it; a compaction has no caller but us.
  if (claim.op !== 'compact' || (await host.claims.fateOf(store, claim)) === 'alive') return busy;
  await endAbandoned(host, store, claim, find);
  return (await find())?.claim?.nonce === claim.nonce ? busy : undefined;
}
