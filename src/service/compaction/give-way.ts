import { DriverError, isFault, raced } from '../../model/fault.ts';
import type { Held, Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { ServiceHost } from '../host.ts';
import type { Head } from './heads.ts';
import { endMoveOrRelease, type EndMoveHost, type RedirectHost } from './redirect.ts';

/** How long a request waits for a compaction of its file to stop, and how often it checks. */
const patienceMs = 3_000;
const pollMs = 250;

interface Claimed {
  readonly claim: Claim | null;
}

/** The record of a file that a request found claimed, and how to read the file as a head. */
interface BusyFile<T> {
  readonly records: Records<T>;
  readonly held: Held<T>;
  readonly headOf: () => Promise<Head | undefined>;
}

/**
 * Makes a compaction give way to a request that wants its file; resolves when the claim is gone. Another server is
 * asked through the record. The work of a dead server is ended in the background, since that runs a command: the
 * request is refused as busy, and its retry finds the file free.
 */
export async function giveWay<T extends Claimed>(
  host: RedirectHost & Pick<ServiceHost, 'background'>,
  store: RootStore,
  { records, held, headOf }: BusyFile<T>,
): Promise<void> {
  const { claim } = held.value;
  if (claim?.op !== 'compact' || (await stopHere(host, claim, held.id))) return;
  const fate = await host.claims.fateOf(store, claim);
  if (fate === 'alive') return askToStop(host, records, held, claim);
  host.background(endAbandoned(host, store, claim, headOf), {
    id: held.id,
    what: 'a compaction that was cut short',
  });
  throw raced(
    `${held.id} was being compacted by node ${claim.node}, which is gone; where that stopped is being looked up, try again`,
  );
}

/** Stops a redirect of this process, and waits up to `patienceMs` for its end; false when there is none. */
async function stopHere(
  { compacting, clock }: Pick<ServiceHost, 'compacting' | 'clock'>,
  { nonce }: Claim,
  id: string,
): Promise<boolean> {
  const stopped = compacting.stop(nonce);
  for (let waited = 0; waited < patienceMs; waited += pollMs) {
    const ended = await Promise.race([stopped, clock.sleep(pollMs)]);
    if (ended !== undefined) return ended;
  }
  throw raced(`${id} is being compacted here, which was asked to stop; try again`);
}

async function askToStop<T extends Claimed>(
  { clock, log }: Pick<ServiceHost, 'clock' | 'log'>,
  records: Records<T>,
  { id }: Held<T>,
  claim: Claim,
): Promise<void> {
  const still = (now: T | undefined): now is T => now?.claim?.nonce === claim.nonce;
  const want = (now: T): T => {
    if (!still(now))
      throw new DriverError(
        'busy',
        `${id} is claimed by another operation; ask again when it has ended`,
      );
    return { ...now, claim: { ...claim, wanted: true } };
  };
  if (claim.wanted !== true) {
    log.info({ id, node: claim.node }, 'a request waits for another server to stop a compaction');
    await records.update(id, want).catch((error: unknown) => {
      if (!isFault(error, 'busy')) throw error;
    });
  }
  for (let waited = 0; waited < patienceMs; waited += pollMs) {
    if (!still((await records.read(id))?.value)) return;
    await clock.sleep(pollMs);
  }
  throw raced(`${id} is being compacted by node ${claim.node}, which was asked to stop; try again`);
}

/** Takes over the claim of a dead server, and ends its move from where GPFS says that it stopped. */
export async function endAbandoned(
  host: EndMoveHost,
  store: RootStore,
  claim: Claim,
  headOf: () => Promise<Head | undefined>,
): Promise<void> {
  const head = await headOf();
  if (head?.claim?.nonce !== claim.nonce) return;
  const { op, from, to } = claim;
  using mine = host.claims.begin({ op, from, to });
  try {
    await head.begin(mine.claim, undefined);
    host.log.warn(
      { id: head.id, op, node: claim.node },
      'finishing an operation that its server left half done',
    );
    await endMoveOrRelease(host, store, head, mine.claim);
  } catch (error) {
    // Another server took it over, or the next request for the file will.
    if (!isFault(error, 'busy')) throw error;
  }
}
