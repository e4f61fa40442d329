import { publicId } from '../../model/ids.ts';
import { isReaderOnly } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { freezeMs } from '../../store/freezes.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';

type FreezeHost = Pick<ServiceHost, 'clock' | 'log'>;

/** How long a snapshot waits for the node that has the volume mounted; then it is cut as it is. */
const answerMs = 5_000;
const pollMs = 100;

/** Which node was asked, for what, and since when; `nonce` names the request. */
type FreezeRequest = Readonly<Record<'node' | 'volume' | 'nonce', string>> & {
  readonly sinceMs: number;
};

/** Why a volume was not frozen, or not for long enough. */
interface NotFrozen {
  readonly asked: FreezeRequest;
  readonly why: string;
}

/**
 * Does something while the file system on the volume is frozen, where its class wants that and the volume
 * is mounted for writing. Without an answer in time, or when the freeze ended too early, it is done all the
 * same: the cut is then as after a power cut, with all that was fsynced. The log says which it was.
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
 * Does something while the file systems on all these volumes are frozen: begun only when the last of them is, and
 * ended before the first thaws. Throws busy where that was not so; what was done then means nothing, and is for the
 * caller to take back.
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

/** The node that would have to freeze a volume; undefined where nobody would, or its class does not want it. */
export const freezingNode = ({ options, image, attachments }: VolumeRecord): string | undefined =>
  options.freeze === 'auto' && image ? attachments.find(isMountedForWriting)?.node : undefined;

const isMountedForWriting = ({ readonly, capability: { access, mode } }: Attachment): boolean =>
  access.kind === 'mount' && !readonly && !isReaderOnly(mode);

/** Undefined where nobody is to be asked, or could be: a snapshot alone does not fail for want of a freeze. */
async function requestFreeze(
  { clock, log }: FreezeHost,
  store: RootStore,
  record: VolumeRecord,
): Promise<FreezeRequest | undefined> {
  const node = freezingNode(record);
  if (node === undefined || !record.image) return undefined;
  // A volume that moved is known to its node by the id it came with.
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

/** Waits until all are frozen; or the first that is not, or did not answer in time. */
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

/** Which of them is not frozen any more, or may not be. */
async function firstThawed(
  { clock }: Pick<ServiceHost, 'clock'>,
  store: RootStore,
  all: readonly FreezeRequest[],
): Promise<NotFrozen | undefined> {
  const read = await Promise.all(all.map((asked) => answerOf(store, asked)));
  const refused = read.find(({ why }) => why !== '');
  if (refused) return { asked: refused.asked, why: refused.why ?? endedEarly };
  // Nobody thaws earlier than this, not even the watchdog of a node whose driver died.
  const late = all.find(({ sinceMs }) => clock.now() - sinceMs >= freezeMs);
  return late && { asked: late, why: endedEarly };
}

const endedEarly = 'it was over before the snapshot was cut';

/** An answer that cannot be read is none. */
const answerOf = async (store: RootStore, asked: FreezeRequest) => ({
  asked,
  why: await store.freezes.answerTo(asked.node, asked.nonce).catch(() => undefined),
});
