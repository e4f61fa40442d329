import { DriverError, invalid, isFault } from '../../model/fault.ts';
import { fileKey, localIdOf, type LocalId } from '../../model/ids.ts';
import { kubernetesNameIn, namedBy } from '../../model/kubernetes.ts';
import { ownParameters } from '../../model/class/parameters.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { requireCuttable, deepen, helpFor } from '../parents/depth.ts';
import { asDeleted } from '../claims/own-claim.ts';
import type { ServiceHost } from '../host.ts';
import { releaseClaim } from '../claims/claims.ts';
import { whileFrozen } from './freeze.ts';
import { operate } from '../claims/operate.ts';
import { cutParent } from '../parents/cut.ts';
import { sectorsOf } from '../../model/sectors.ts';
import { readyVolume, settleSnapshot, settleVolume, volumeMissing } from '../claims/settle.ts';

/** A snapshot and the root it lives in. */
export interface FoundSnapshot {
  readonly store: RootStore;
  readonly record: SnapshotRecord;
}

/** What CreateSnapshot requests. */
export interface SnapshotSpec {
  readonly name: string;
  readonly sourceVolumeId: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Takes a snapshot of a volume; the same request again finds what the first one made. */
export async function createSnapshot(
  host: ServiceHost,
  spec: SnapshotSpec,
): Promise<FoundSnapshot> {
  refuseParameters(spec.parameters);
  const place = await host.roots.byId(spec.sourceVolumeId);
  if (!place) throw volumeMissing(spec.sourceVolumeId);
  const { store, local } = place;
  const id = localIdOf(spec.name);
  const held = await settleSnapshot(host, store, id);
  if (held && held.value.state !== 'deleted') {
    if (held.value.volume !== local)
      throw new DriverError(
        'name-taken',
        `snapshot ${JSON.stringify(spec.name)} exists already, of volume ${held.value.volume}; use another name`,
      );
    await endLeftCut(host, store, held.value);
    return { store, record: held.value };
  }
  const plan = await planCut(host, store, {
    called: {
      id,
      name: spec.name,
      ...namedBy(kubernetesNameIn(spec.parameters, 'volumesnapshot')),
    },
    of: local,
    from: held,
  });
  const record = await takeSnapshot(host, store, plan, (volume, work) =>
    whileFrozen(host, store, volume, work),
  );
  return { store, record };
}

/** Throws invalid-request for parameters of a snapshot class: this driver has none. */
export function refuseParameters(parameters: ReadonlyMap<string, string>): void {
  const [unknown] = ownParameters(parameters).keys();
  if (unknown === undefined) return;
  throw invalid(
    'parameters',
    `has an unknown key ${JSON.stringify(unknown)}; a snapshot class takes none`,
  );
}

/** Ends the claim that a dead server may have left on the volume after the snapshot was ready. */
async function endLeftCut(
  host: ServiceHost,
  store: RootStore,
  { id, volume }: SnapshotRecord,
): Promise<void> {
  const source = await store.volumes.read(volume);
  if (source?.value.claim?.snapshot !== id) return;
  await settleVolume(host, store, volume).catch((error: unknown) => {
    if (!isFault(error, 'busy')) throw error;
  });
}

/** The id and the name of a new snapshot, and its group. */
type Called = Pick<SnapshotRecord, 'id' | 'name' | 'kubernetes' | 'group'>;

/** The snapshot that is requested, its volume, and the record that its id has already. */
interface WantedCut {
  readonly called: Called;
  readonly of: LocalId;
  readonly from: Held<SnapshotRecord> | undefined;
}

/** A snapshot that may be taken, and the records that it starts from. */
export interface PlannedCut {
  readonly called: Called;
  readonly volume: Held<VolumeRecord>;
  readonly from: Held<SnapshotRecord> | undefined;
  /** The depth of the volume afterwards. */
  readonly depth: number;
}

/** Checks whether a snapshot of a volume can be taken now; changes nothing. */
export async function planCut(
  host: ServiceHost,
  store: RootStore,
  { called, of, from }: WantedCut,
): Promise<PlannedCut> {
  const volume = await readyVolume(host, store, of);
  await requireCuttable(store, volume.value);
  const help = helpFor(volume.value);
  const depth = await deepen(host, store, { ...volume.value, help });
  return { called, volume, from, depth };
}

/**
 * Takes a snapshot as it was planned. Throws busy where the volume changed since. `around` gets its record, and
 * runs the work.
 */
export async function takeSnapshot(
  host: ServiceHost,
  store: RootStore,
  { called, volume, from, depth }: PlannedCut,
  around: (volume: VolumeRecord, work: () => Promise<void>) => Promise<void>,
): Promise<SnapshotRecord> {
  const { id } = called;
  const key = fileKey(id, (from?.version ?? 0) + 1, host.nonce());
  using mine = host.claims.begin({ op: 'create', image: key });
  const record = { ...newRecord(host, called, volume.value), claim: mine.claim };
  try {
    await store.snapshots.swap(id, from, record);
    await operate(host, store, {
      id: volume.id,
      from: volume,
      plan: { op: 'snapshot', parent: key, snapshot: id },
      during: { ...volume.value, depth: depth - 1 },
      durability: 'name',
      work: (held) => around(held.value, () => cutParent(host, store, held)),
    });
    return await readReady(store, id);
  } catch (error) {
    store.snapshots.failing(mine.claim, error);
    await host.claims.release(() => forgetUnmade(host, store.freeing, record, mine.claim));
    throw error;
  }
}

async function readReady(store: RootStore, id: string): Promise<SnapshotRecord> {
  const now = await store.snapshots.read(id);
  if (now?.value.state === 'ready') return now.value;
  throw new DriverError('busy', `snapshot ${id} was deleted while it was taken; try again`);
}

/** Frees the name at once where nothing was cut; where a parent was cut, the next request finds it. */
async function forgetUnmade(
  host: Pick<ServiceHost, 'clock'>,
  store: RootStore,
  { id, volume }: SnapshotRecord,
  claim: Claim,
): Promise<void> {
  const source = await store.volumes.read(volume);
  if (source?.value.claim?.snapshot === id) return releaseClaim(store.snapshots, id, claim);
  const now = await store.snapshots.read(id);
  if (now?.value.claim?.nonce !== claim.nonce) return;
  await store.snapshots.swap(id, now, asDeleted(host, now.value));
}

const newRecord = (
  host: Pick<ServiceHost, 'clock'>,
  called: Called,
  volume: VolumeRecord,
): SnapshotRecord => ({
  format: recordFormat,
  ...called,
  state: 'creating',
  volume: volume.id,
  ...(volume.handle === undefined ? {} : { handle: volume.handle }),
  bytes: volume.bytes,
  file: null,
  parent: null,
  content: volume.content,
  ...sectorsOf(volume),
  attributes: volume.attributes,
  createdMs: host.clock.now(),
  claim: null,
});
