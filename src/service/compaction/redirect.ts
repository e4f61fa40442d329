import { DriverError } from '../../model/fault.ts';
import type { FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { ServiceHost } from '../host.ts';
import { parentRecord } from '../parents/record.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import { reclaim, reclaimAfter, type ReclaimHost } from '../parents/reclaim.ts';
import type { Head } from './heads.ts';

/** What ending a redirect that was cut short stands on. */
export type EndMoveHost = ReclaimHost & Pick<ServiceHost, 'claims' | 'commands'>;

/** What a redirect stands on. */
export type RedirectHost = EndMoveHost & Pick<ServiceHost, 'compacting' | 'clock'>;

/** How often a running redirect looks whether somebody waits for its file. */
const pollMs = 1_000;

/** One redirect: the head copies what its parent `from` holds, and hangs on `to` afterwards. */
export interface Move {
  readonly from: FileKey;
  readonly to: FileKey | null;
  /** Clone parents above the head before it, counted. */
  readonly depth: number;
}

/**
 * Redirects one file under a claim in its record, and reclaims the parent it came from where nothing else needs
 * that. A request that wants the file meanwhile makes it stop: what was copied by then is kept, and the file is a
 * valid clone of the parent it had. Throws `busy` then, or when the claim was taken over.
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
    // Should this server die, a volume is found by the item that led here, and any other file by its own.
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
    // The records may be behind: a redirect of a server that stalled then would go one parent too far.
    const place = await placeOf(host, store, head, claim);
    if (place === 'elsewhere') throw hangsElsewhere(head);
    if (place === 'from') {
      await requireOwnClaim(head, claim);
      await runRedirect(host, head, claim, signal);
    }
    await endMoved(host, store, head, claim);
  } catch (error) {
    await endMoveOrRelease(host, store, head, claim);
    throw signal.aborted ? gaveWay(head, error) : error;
  }
}

/** A server that stood still in front of the command finds here that others went on. */
async function requireOwnClaim(head: Head, { nonce }: Claim): Promise<void> {
  if ((await head.claimNow())?.nonce !== nonce)
    throw new DriverError('busy', `${head.id} was taken over by another server; try again`);
}

/** Ends a move; where even that fails, its claim is given back, so that any server may end it. */
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

/** Runs the command, and stops it when the record says that somebody waits for the file. */
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
    // A record that cannot be read could not say that somebody waits, so that stops it as well.
    const now = await head.claimNow().catch(() => null);
    if (now?.nonce !== claim.nonce || now.wanted === true) wanted.abort();
  }
  await running.catch((error: unknown) => {
    throw either.aborted ? gaveWay(head, error) : error;
  });
}

const yes = (): true => true;

const gaveWay = ({ id }: Head, cause: unknown): DriverError =>
  new DriverError('busy', `${id} was wanted while it was being compacted`, cause);

/**
 * Ends a move from any point it stopped at. GPFS says where the file hangs; this is asked only of a move that
 * was cut short, and never while a request waits. Throws when the file hangs on neither of the two.
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
  // While the claim still says that there is something to end: nobody looks for this edge later.
  if ((await head.claimNow())?.nonce === claim.nonce && claim.from)
    await store.edges.remove(claim.from, head.ref.key);
  const ended = head.end(claim, { to: claim.to ?? null });
  await reclaimAfter(host, store, claim.from ?? null, ended);
  await reclaimHead(host, store, head);
}

/** A dead parent that was redirected may have lost its last child meanwhile, and nobody else looks again. */
async function reclaimHead(host: ReclaimHost, store: RootStore, head: Head): Promise<void> {
  if (head.kind === 'hidden') await reclaim(host, store, head.ref.key);
}

/** Where GPFS says that the head hangs. */
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
