import { DriverError } from '../../model/fault.ts';
import type { FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { ServiceHost } from '../host.ts';
import { parentRecord } from '../parents/record.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import { reclaim, reclaimAfter, type ReclaimHost } from '../parents/reclaim.ts';
import type { Head } from './heads.ts';

/** What ending an interrupted redirect uses. */
export type EndMoveHost = ReclaimHost & Pick<ServiceHost, 'claims' | 'commands'>;

/** What a redirect uses. */
export type RedirectHost = EndMoveHost & Pick<ServiceHost, 'compacting' | 'clock'>;

/** How often a running redirect checks whether a request waits for its file. */
const pollMs = 1_000;

/** One redirect: the head copies what its parent `from` holds, and reads through `to` afterwards. */
export interface Move {
  readonly from: FileKey;
  readonly to: FileKey | null;
  /** The number of clone parents above the head before the redirect. */
  readonly depth: number;
}

/**
 * Redirects one file under a claim in its record, and reclaims its old parent where nothing else needs that. A
 * request that wants the file meanwhile stops the redirect: what was copied by then is kept, and the file stays a
 * valid clone of its old parent. Throws busy then, or when the claim was taken over.
 */
export async function redirect(
  host: RedirectHost,
  store: RootStore,
  head: Head,
  { from, to, depth }: Move,
): Promise<void> {
  using mine = host.claims.begin({ op: 'compact', from, to });
  const { claim } = mine;
  const running = host.compacting.begin(claim.nonce);
  try {
    // Should this server die, the queue item that led here leads to a volume again; any other file needs an item of
    // its own.
    if (!head.volume) await host.backlog.add(store, head.ref.key);
    await head.begin(claim, depth);
    await move(host, store, head, { claim, signal: running.signal });
  } finally {
    running.end();
  }
}

async function move(
  host: RedirectHost,
  store: RootStore,
  head: Head,
  { claim, signal }: { readonly claim: Claim; readonly signal: AbortSignal },
): Promise<void> {
  try {
    if (claim.to) await store.edges.add(claim.to, head.ref.key);
    // The records may be old: a redirect of a server that stalled would then move the file one parent too far.
    const place = await placeOf(host, store, head, claim);
    if (place === 'elsewhere') throw hangsElsewhere(head);
    if (place === 'from') {
      await requireOwnClaim(head, claim);
      await runRedirect(host, head, claim, signal);
    }
    await endMoved(host, store, head, claim);
  } catch (error) {
    head.failing(claim, error);
    await endMoveOrRelease(host, store, head, claim);
    throw signal.aborted ? gaveWay(head, error) : error;
  }
}

/** Throws busy where another server took over while this one stalled before the command. */
async function requireOwnClaim(head: Head, { nonce }: Claim): Promise<void> {
  if ((await head.claimNow())?.nonce !== nonce)
    throw new DriverError('busy', `${head.id} was taken over by another server; try again`);
}

/** Ends a move; where that fails, its claim is released, so that any server may end it. */
export async function endMoveOrRelease(
  host: EndMoveHost,
  store: RootStore,
  head: Head,
  claim: Claim,
): Promise<void> {
  try {
    await endMove(host, store, head, claim);
  } catch (error) {
    await host.claims.release(() => head.release(claim));
    throw error;
  }
}

const hangsElsewhere = ({ path }: Head): DriverError =>
  new DriverError(
    'wrong-state',
    `${path} hangs on another clone parent than its record says; see gpfs-csi doctor`,
  );

/** Runs the command, and stops it when the record says that a request waits for the file. */
async function runRedirect(
  host: Pick<ServiceHost, 'commands' | 'clock'>,
  head: Head,
  claim: Claim,
  signal: AbortSignal,
): Promise<void> {
  const wanted = new AbortController();
  const either = AbortSignal.any([signal, wanted.signal]);
  const running = host.commands.clone.redirect(head.path, either);
  const over = running.then(yes, yes);
  while (!(await Promise.race([over, host.clock.sleep(pollMs)]))) {
    // A record that cannot be read cannot say that a request waits, so that stops the command as well.
    const now = await head.claimNow().catch(() => null);
    if (now?.nonce !== claim.nonce || now.wanted === true) wanted.abort();
  }
  await running.catch((error: unknown) => {
    throw either.aborted ? gaveWay(head, error) : error;
  });
}

const yes = (): true => true;

const gaveWay = ({ id }: Head, cause: unknown): DriverError =>
  new DriverError(
    'busy',
    `${id} was wanted while it was being compacted; it is compacted later`,
    cause,
  );

/**
 * Ends a move from any point where it stopped. GPFS is asked which parent the file has, only for an interrupted
 * move and never while a request waits. Throws wrong-state when the parent is neither of the two.
 */
async function endMove(
  host: EndMoveHost,
  store: RootStore,
  head: Head,
  claim: Claim,
): Promise<void> {
  const place = await placeOf(host, store, head, claim);
  if (place === 'to') return endMoved(host, store, head, claim);
  if ((await head.claimNow())?.nonce === claim.nonce && claim.to)
    await store.edges.remove(claim.to, head.ref.key);
  await head.end(claim, undefined);
  await reclaimHead(host, store, head);
  if (place === 'elsewhere') throw hangsElsewhere(head);
}

async function endMoved(
  host: ReclaimHost,
  store: RootStore,
  head: Head,
  claim: Claim,
): Promise<void> {
  // Done while the claim is still there: no server looks for this edge later.
  if ((await head.claimNow())?.nonce === claim.nonce && claim.from)
    await store.edges.remove(claim.from, head.ref.key);
  const ended = head.end(claim, { to: claim.to ?? null });
  await reclaimAfter(host, store, claim.from ?? null, ended);
  await reclaimHead(host, store, head);
}

/** A dead parent that was redirected may have lost its last child meanwhile, and no other operation checks that. */
async function reclaimHead(host: ReclaimHost, store: RootStore, head: Head): Promise<void> {
  if (head.kind === 'hidden') await reclaim(host, store, head.ref.key);
}

/** Which parent of the two GPFS says that the head has. */
async function placeOf(
  host: Pick<ServiceHost, 'commands'>,
  store: RootStore,
  head: Head,
  { from, to }: Claim,
): Promise<'from' | 'to' | 'elsewhere'> {
  const status = await host.commands.clone.show(head.path);
  const seen = status.kind === 'plain' ? undefined : status.parentInode;
  if (seen === undefined) return to ? 'elsewhere' : 'to';
  if (seen === (await inodeOf(store, from))) return 'from';
  return seen === (await inodeOf(store, to)) ? 'to' : 'elsewhere';
}

async function inodeOf(
  store: RootStore,
  key: FileKey | null | undefined,
): Promise<bigint | undefined> {
  if (!key) return undefined;
  const record = await parentRecord(store, key);
  return record && (await statOf(store, pathOf(store, record.ref)))?.inode;
}
