import type { DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { localIdOf, type LocalId } from '../../model/ids.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { showFill } from '../claims/claims.ts';
import { finishFilling } from './fill.ts';
import type { ServiceHost } from '../host.ts';
import { operate } from '../claims/operate.ts';
import { requireSame } from './request.ts';

/**
 * Resumes a fill whose server is gone, when a caller asks for that volume again. A server that is only
 * silent may wake up and write: then its fill is undone, and a new one fills a file of another name.
 */
export async function resumeFilling(
  host: ServiceHost,
  store: RootStore,
  spec: VolumeSpec,
): Promise<VolumeRecord | undefined> {
  const held = await store.volumes.read(localIdOf(spec.name));
  const claim = held?.value.claim;
  if (!held || !claim?.image || !isBegun(claim)) return undefined;
  if ((await host.claims.fateOf(store, claim)) !== 'gone') return undefined;
  requireSame(held.value, spec);
  const image: DataRef = { data: 'volumes', key: claim.image };
  const work = operate(host, store, {
    id: held.id,
    from: held,
    plan: { op: 'create', image: claim.image, fill: claim.fill },
    during: held.value,
    work: (claimed) => finishFilling(host, store, claimed, image),
  });
  return answerWhileFilling(host, store, held.value.id, work);
}

// Before anything was allocated or copied there is nothing worth keeping.
const isBegun = ({ op, fill }: Claim): boolean =>
  op === 'create' && fill !== undefined && fill.allocatedBytes + fill.copiedBytes > 0n;

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
