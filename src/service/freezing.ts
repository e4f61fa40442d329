import { publicId } from '../model/ids.ts';
import { isReaderOnly } from '../model/capability.ts';
import { freezeMs } from '../store/freezes.ts';
import type { RootStore } from '../store/root.ts';
import type { VolumeRecord } from '../store/schema/volume.ts';
import type { ServiceHost } from './host.ts';

/** How long a snapshot waits for the node that has the volume mounted; then it is cut as it is. */
const answerMs = 5_000;
const pollMs = 100;

/** Which node was asked, for what, and since when. */
type Asked = Readonly<Record<'node' | 'volume', string>> & { readonly sinceMs: number };

/**
 * Does something while the file system on the volume is frozen, where its class wants that and the volume
 * is mounted for writing. Without an answer in time, or when the freeze ended too early, it is done all the
 * same: the cut is then as after a power cut, with all that was fsynced. The log says which it was.
 */
export async function whileFrozen<T>(
  host: ServiceHost,
  store: RootStore,
  record: VolumeRecord,
  work: () => Promise<T>,
): Promise<T> {
  const node = mountedOn(record);
  if (record.options.freeze !== 'auto' || node === undefined || !record.image) return work();
  // A volume that moved is known to its node by the id it came with.
  const volume = record.handle ?? publicId(store.id, record.id);
  const asked = { node, volume, sinceMs: host.clock.now() };
  const nonce = await store.freezes
    .ask(node, { volume: asked.volume, image: record.image.key })
    .catch((error: unknown) => {
      host.log.warn({ ...asked, error }, 'the node could not be asked to freeze a volume');
      return undefined;
    });
  if (nonce === undefined) return work();
  try {
    const before = await answer(host, store, node, nonce);
    const result = await work();
    const after = before === '' ? await read(store, node, nonce) : before;
    // Nobody thaws earlier than this, not even the watchdog of a node whose driver died.
    const inTime = host.clock.now() - asked.sinceMs < freezeMs;
    tell(host, asked, inTime ? after : 'it was over before the snapshot was cut');
    return result;
  } finally {
    await store.freezes.retract(node, nonce).catch((error: unknown) => {
      host.log.warn({ ...asked, error }, 'a request to freeze a volume may be left');
    });
  }
}

const mountedOn = ({ attachments }: VolumeRecord): string | undefined =>
  attachments.find(
    ({ readonly, capability: { access, mode } }) =>
      access.kind === 'mount' && !readonly && !isReaderOnly(mode),
  )?.node;

async function answer(
  { clock }: ServiceHost,
  store: RootStore,
  node: string,
  nonce: string,
): Promise<string | undefined> {
  for (let waited = 0; waited < answerMs; waited += pollMs) {
    const found = await read(store, node, nonce);
    if (found !== undefined) return found;
    await clock.sleep(pollMs);
  }
  return undefined;
}

/** An answer that cannot be read is none: a snapshot does not fail for want of a freeze. */
const read = (store: RootStore, node: string, nonce: string): Promise<string | undefined> =>
  store.freezes.answerTo(node, nonce).catch(() => undefined);

function tell({ log }: ServiceHost, asked: Asked, answered: string | undefined): void {
  if (answered === '') log.info(asked, 'cut while the file system was frozen');
  else
    log.warn(
      { ...asked, reason: answered ?? 'the node did not answer in time' },
      'cut without a freeze: crash-consistent, with all that was fsynced',
    );
}
