import { publicId } from '../../model/ids.ts';
import { isReaderOnly } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { freezeMs } from '../../store/freezes.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';

type FreezeHost = Pick<ServiceHost, 'clock' | 'log'>;

/** How long a snapshot waits for the node that has the volume mounted; after that it is taken without a freeze. */
const answerMs = 5_000;
const pollMs = 100;

/** A request to a node to freeze a volume, and when it was made; `nonce` names it. */
type FreezeRequest = Readonly<Record<'node' | 'volume' | 'nonce', string>> & {
  readonly sinceMs: number;
};

/** Why a volume was not frozen, or not for long enough. */
interface NotFrozen {
  readonly asked: FreezeRequest;
  readonly why: string;
}

/**
 * Does something while the file system on the volume is frozen, where its class wants that and the volume is
 * mounted for writing. Without an answer in time, or when the freeze ended too early, it is done all the same: the
 * snapshot is then as after a power cut, with all that was fsynced. The log says which it was.
 */
export async function whileFrozen<T>(
  host: FreezeHost,
  store: RootStore,
  record: VolumeRecord,
  work: () => Promise<T>,
): Promise<T> {
  const asked = await requestFreeze(host, store, record);
  if (!asked) return work();
  try {
    const before = await firstNotFrozen(host, store, [asked]);
    const result = await work();
    const failed = before ?? (await firstThawed(host, store, [asked]));
    if (failed)
      host.log.warn(
        { ...asked, reason: failed.why },
        'cut without a freeze: crash-consistent, with all that was fsynced',
      );
    else host.log.info(asked, 'cut while the file system was frozen');
    return result;
  } finally {
    await withdraw(host, store, asked);
  }
}

/**
 * Does something while the file systems on all these volumes are frozen: it begins after the last freeze, and ends
 * before the first thaw. Throws busy where that was not so; the caller must then undo what was done.
 */
export async function whileAllFrozen<T>(
  host: FreezeHost,
  store: RootStore,
  records: readonly VolumeRecord[],
  work: () => Promise<T>,
): Promise<T> {
  const tried = await Promise.all(records.map((record) => requestFreeze(host, store, record)));
  const asked = tried.filter((each) => each !== undefined);
  try {
    const unasked = records[tried.indexOf(undefined)];
    if (unasked) throw notFrozen(unasked.id, 'its node could not be asked');
    refuse(await firstNotFrozen(host, store, asked));
    const result = await work();
    refuse(await firstThawed(host, store, asked));
    return result;
  } finally {
    await Promise.all(asked.map((each) => withdraw(host, store, each)));
  }
}

function refuse(failed: NotFrozen | undefined): void {
  if (failed) throw notFrozen(failed.asked.volume, `node ${failed.asked.node}: ${failed.why}`);
}

const notFrozen = (volume: string, why: string): DriverError =>
  new DriverError(
    'busy',
    `the file system on volume ${volume} was not frozen while its group was cut (${why}), so the snapshots would not be of one moment; nothing was kept, try again`,
  );

/**
 * The node that must freeze a volume; undefined where no node has it mounted for writing, or its class does not
 * want it.
 */
export const freezingNode = ({ options, image, attachments }: VolumeRecord): string | undefined =>
  options.freeze === 'auto' && image ? attachments.find(isMountedForWriting)?.node : undefined;

const isMountedForWriting = ({ readonly, capability: { access, mode } }: Attachment): boolean =>
  access.kind === 'mount' && !readonly && !isReaderOnly(mode);

/**
 * Asks the node to freeze a volume. Undefined where no node must freeze it, or where the node could not be asked: a
 * single snapshot is taken without a freeze too.
 */
async function requestFreeze(
  { clock, log }: FreezeHost,
  store: RootStore,
  record: VolumeRecord,
): Promise<FreezeRequest | undefined> {
  const node = freezingNode(record);
  if (node === undefined || !record.image) return undefined;
  // A volume that was moved is known to its node by its first id.
  const volume = record.handle ?? publicId(store.id, record.id);
  const asked = { node, volume, sinceMs: clock.now() };
  try {
    return { ...asked, nonce: await store.freezes.ask(node, { volume, image: record.image.key }) };
  } catch (error) {
    log.warn({ ...asked, error }, 'the node could not be asked to freeze a volume');
    return undefined;
  }
}

async function withdraw(
  { log }: Pick<ServiceHost, 'log'>,
  store: RootStore,
  asked: FreezeRequest,
): Promise<void> {
  await store.freezes.retract(asked.node, asked.nonce).catch((error: unknown) => {
    log.warn({ ...asked, error }, 'a request to freeze a volume may be left');
  });
}

/** Waits until all are frozen. Resolves to the first volume that is not, or whose node did not answer in time. */
async function firstNotFrozen(
  { clock }: Pick<ServiceHost, 'clock'>,
  store: RootStore,
  all: readonly FreezeRequest[],
): Promise<NotFrozen | undefined> {
  let open = all;
  for (let waited = 0; waited < answerMs; waited += pollMs) {
    const read = await Promise.all(open.map((asked) => answerOf(store, asked)));
    const refused = read.find(({ why }) => why !== undefined && why !== '');
    if (refused) return { asked: refused.asked, why: refused.why ?? '' };
    open = read.flatMap(({ asked, why }) => (why === undefined ? [asked] : []));
    if (open.length === 0) return undefined;
    await clock.sleep(pollMs);
  }
  return open[0] && { asked: open[0], why: 'the node did not answer in time' };
}

/** The first volume that is not frozen any more, or may not be. */
async function firstThawed(
  { clock }: Pick<ServiceHost, 'clock'>,
  store: RootStore,
  all: readonly FreezeRequest[],
): Promise<NotFrozen | undefined> {
  const read = await Promise.all(all.map((asked) => answerOf(store, asked)));
  const refused = read.find(({ why }) => why !== '');
  if (refused) return { asked: refused.asked, why: refused.why ?? endedEarly };
  // No node thaws earlier than this, not even the watchdog of a node whose driver died.
  const late = all.find(({ sinceMs }) => clock.now() - sinceMs >= freezeMs);
  return late && { asked: late, why: endedEarly };
}

const endedEarly = 'it was over before the snapshot was cut';

/** An answer that cannot be read counts as none. */
const answerOf = async (store: RootStore, asked: FreezeRequest) => ({
  asked,
  why: await store.freezes.answerTo(asked.node, asked.nonce).catch(() => undefined),
});
