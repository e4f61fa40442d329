import { DriverError } from '../../model/fault.ts';
import type { LocalId } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { showFill } from '../claims/claims.ts';
import type { ServiceHost } from '../host.ts';

/** Waits for a fill up to `patienceMs`. After that it continues in the background, and `busy` reports its progress. */
export async function answerWhileFilling(
  host: Pick<ServiceHost, 'background' | 'clock' | 'patienceMs' | 'self'>,
  store: RootStore,
  id: LocalId,
  work: Promise<VolumeRecord>,
): Promise<VolumeRecord> {
  if (host.patienceMs === Infinity) return work;
  const done = await Promise.race([work, host.clock.sleep(host.patienceMs)]);
  if (done) return done;
  host.background(
    work.then(() => undefined),
    { volume: id },
  );
  const fill = (await store.volumes.read(id))?.value.claim?.fill;
  throw new DriverError(
    'busy',
    `volume ${id} is being filled by node ${host.self.node}${fill ? `: ${showFill(fill)}` : ''}; it goes on, ask again`,
  );
}
