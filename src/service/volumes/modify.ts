import { isFault, raced, type DriverError } from '../../model/fault.ts';
import {
  changed,
  requireFitting,
  volumeChange,
  whatIsLeft,
  type VolumeChange,
} from '../../model/class/mutable.ts';
import { hasAttributes } from '../../model/class/parameters.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { isTooDeep } from '../parents/depth.ts';
import type { ServiceHost } from '../host.ts';
import { imageOf, pathOf } from '../claims/data-files.ts';
import { trusted } from '../claims/steps.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { readyVolume } from '../claims/settle.ts';

/**
 * Changes attributes of a volume: all of them in one command, or none. Moving its blocks to another pool may
 * take hours, in which the volume must be usable; so this has a claim of its own in the record (`retype`),
 * beside the one that excludes other operations.
 */
export async function modifyVolume(
  host: ServiceHost,
  { store, local }: PlacedObject,
  parameters: ReadonlyMap<string, string>,
): Promise<void> {
  const change = volumeChange(parameters);
  const held = await readyVolume(host, store, local);
  requireFitting(held.value, change);
  const left = whatIsLeft(held.value, change);
  await host.placement.require(store, left.attributes, 'mutable_parameters');
  const { retype } = held.value;
  if (retype !== null) await host.claims.requireDead(store, retype, `volume ${local}`);
  const isDone = !hasAttributes(left.attributes) && Object.keys(left.options).length === 0;
  if (isDone && retype === null) return;
  await retypeVolume(host, store, held, left);
}

async function retypeVolume(
  host: Pick<ServiceHost, 'backlog' | 'claims' | 'commands' | 'log'>,
  store: RootStore,
  held: Held<VolumeRecord>,
  change: VolumeChange,
): Promise<void> {
  using mine = host.claims.begin({ op: 'modify' });
  const { claim } = mine;
  try {
    await store.volumes.swap(held.id, held, { ...held.value, retype: claim });
    await setAttributes(host, store, held, change);
    const { value } = await endRetype(store, held, claim, (now) => {
      // Fencing gives the volume another file, whose attributes are those of the record.
      if (isFenced(now, held.value)) throw overtaken(held.id);
      return { ...changed(now, change) };
    });
    if (isTooDeep(value.depth ?? 0, value)) await host.backlog.add(store, value.id);
  } catch (error) {
    store.volumes.failing(claim, error);
    await host.claims.release(async () => {
      await endRetype(store, held, claim, () => ({})).catch(lostAnyway);
    });
    const now = await store.volumes.read(held.id).catch(() => undefined);
    // A fence removed its file while the command ran, which must not reach the caller as NOT_FOUND.
    throw now && isFenced(now.value, held.value) ? overtaken(held.id, error) : error;
  }
}

const isFenced = (now: VolumeRecord, { image }: VolumeRecord): boolean =>
  now.state === 'ready' && now.image?.key !== image?.key;

async function setAttributes(
  { commands, log }: Pick<ServiceHost, 'commands' | 'log'>,
  store: RootStore,
  { id, value }: Held<VolumeRecord>,
  { attributes }: VolumeChange,
): Promise<void> {
  if (!hasAttributes(attributes)) return;
  await store.check();
  log.info({ volume: id, ...attributes }, 'changing attributes; moving the blocks may take long');
  const image = imageOf(value);
  await trusted(store, image, commands.setAttributes(pathOf(store, image), attributes));
  log.info({ volume: id, ...attributes }, 'attributes changed');
}

/** Ends the claim of a change, and writes what it changed; busy where another change took its place. */
async function endRetype(
  store: RootStore,
  { id }: Held<VolumeRecord>,
  claim: Claim,
  change: (now: VolumeRecord) => Partial<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const end = (now: VolumeRecord): VolumeRecord => {
    if (now.retype?.nonce !== claim.nonce) throw overtaken(id);
    return { ...now, ...change(now), retype: null };
  };
  return store.volumes.update(id, end, 'name');
}

const overtaken = (id: string, cause?: unknown): DriverError =>
  raced(`volume ${id} changed while its attributes were; try again`, cause);

const lostAnyway = (error: unknown): void => {
  if (!isFault(error, 'busy')) throw error;
};
