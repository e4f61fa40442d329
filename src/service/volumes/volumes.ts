import type { Bytes } from '../../model/bytes.ts';
import { requireSupported, type Capability } from '../../model/capability.ts';
import { publicId } from '../../model/ids.ts';
import { volumeChange, whatIsLeft } from '../../model/class/mutable.ts';
import { sizeOfGrown } from '../../model/sizing.ts';
import type { CapacityRange, Page, Paged, Volume } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ValidateAsk, Validation, Volumes } from '../api.ts';
import { createVolume, type PlacedVolume } from './create.ts';
import { removeVolume } from './remove.ts';
import { growClaimed } from './expand.ts';
import { requireGrowable, whyUnusable } from './filesystem.ts';
import type { ServiceHost } from '../host.ts';
import { listPage } from '../pages.ts';
import { modifyVolume } from './modify.ts';
import { operate } from '../claims/operate.ts';
import { stopIfLeft } from '../claims/patience.ts';
import { isFencing } from '../claims/own-claim.ts';
import { forgetMoves } from '../roots/handles.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { readyVolume, volumeMissing } from '../claims/settle.ts';

/** Volumes, as the controller serves them. */
export const volumesOf = (host: ServiceHost): Volumes => ({
  create: async (spec) => shown(host, await createVolume(host, spec)),
  remove: (id) => remove(host, id),
  get: async (id) => shown(host, await find(host, id)),
  list: (page) => list(host, page),
  expand: async (id, range, capability) => expand(host, await placeOf(host, id), range, capability),
  modify: async (id, parameters) => modifyVolume(host, await placeOf(host, id), parameters),
  validate: async (id, ask) => validation((await find(host, id)).record, ask),
});

type RootsHost = Pick<ServiceHost, 'roots'>;

async function placeOf({ roots }: RootsHost, id: string): Promise<PlacedObject> {
  const place = await roots.byId(id);
  if (place) return place;
  throw volumeMissing(id);
}

/** The volume, ready. Throws volume-missing. */
async function find(host: RootsHost, id: string): Promise<PlacedVolume> {
  const { store, local } = await placeOf(host, id);
  const held = await store.volumes.read(local);
  if (held?.value.state !== 'ready') throw volumeMissing(id);
  return { store, record: held.value };
}

/** A volume as callers see it. One that was moved is where it is now, whatever its handle says. */
const shown = (
  { topology }: Pick<ServiceHost, 'topology'>,
  { store, record }: PlacedVolume,
): Volume => ({
  id: record.handle ?? publicId(store.id, record.id),
  bytes: record.bytes,
  context: record.context,
  source: record.asked.source ?? undefined,
  publishedNodes: record.attachments.filter((each) => !isFencing(each)).map(({ node }) => node),
  ...(topology ? { topology: topology.of(store.id) } : {}),
});

async function list(
  host: Pick<ServiceHost, 'roots' | 'topology'>,
  page: Page,
): Promise<Paged<Volume>> {
  const entry = (store: RootStore, record: VolumeRecord) =>
    record.state === 'ready' ? shown(host, { store, record }) : undefined;
  return listPage(
    { list: 'volumes', records: (store) => store.volumes, entry, stopIfLeft },
    await host.roots.all(),
    page,
  );
}

/** Deletes a volume; a missing one is success. */
async function remove(host: ServiceHost, id: string): Promise<void> {
  const place = await host.roots.byId(id);
  if (!place) return;
  await removeVolume(host, { ...place, store: place.store.freeing });
  await forgetMoves(host, id, place);
  await host.limits.removed(place.store, place.local);
}

async function expand(
  host: ServiceHost,
  { store, local }: PlacedObject,
  range: CapacityRange,
  capability: Capability | undefined,
): Promise<Bytes> {
  if (capability) requireSupported([capability], 'volume_capability');
  const held = await readyVolume(host, store, local);
  const bytes = sizeOfGrown(range, held.value.bytes);
  if (bytes === held.value.bytes) return bytes;
  await requireGrowable(store, held.value, bytes, capability);
  const grow = () =>
    operate(host, store, {
      id: local,
      from: held,
      plan: { op: 'expand', bytes },
      during: held.value,
      work: (claimed) => growClaimed(host, store, claimed),
    });
  const wanted = { id: local, bytes, had: held.value.bytes };
  const grown = await host.limits.admit(store, wanted, grow);
  return grown.value.bytes;
}

function validation(record: VolumeRecord, ask: ValidateAsk): Validation {
  const no = (message: string): Validation => ({ confirmed: false, message });
  const why = whyUnusable(record, ask.capabilities);
  if (why !== undefined) return no(why);
  const strange = [...ask.context].find(([key, value]) => record.context[key] !== value);
  if (strange)
    return no(
      `volume_context has ${JSON.stringify(strange[0])}, which is not what this volume has`,
    );
  const { parameters } = record.asked;
  for (const [key, value] of ask.parameters)
    if (parameters[key] !== value && !ask.mutable.has(key))
      return no(`parameters has ${JSON.stringify(key)}, which this volume was not made with`);
  const left = whatIsLeft(record, volumeChange(ask.mutable));
  const [different] = [...Object.keys(left.attributes), ...Object.keys(left.options)];
  if (different !== undefined)
    return no(
      `mutable_parameters has ${JSON.stringify(different)}, which this volume does not have`,
    );
  return { confirmed: true };
}
