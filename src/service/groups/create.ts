import { DriverError, invalid, raced } from '../../model/fault.ts';
import { cutsAtOnce, isSameSet, memberId, requireCuttableInTime } from '../../model/group.ts';
import { kubernetesNameIn, namedBy } from '../../model/kubernetes.ts';
import { localIdOf, type LocalId } from '../../model/ids.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { GroupRecord } from '../../store/schema/groups.ts';
import { inParallel } from '../../run/parallel.ts';
import { whileAllFrozen, whileFrozen } from '../snapshots/freeze.ts';
import { memberName, settleGroup, takeBackGroup } from './settle.ts';
import { volumesToFreeze } from './members.ts';
import type { ServiceHost } from '../host.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { settleSnapshot, volumeMissing } from '../claims/settle.ts';
import { planCut, refuseParameters, takeSnapshot, type PlannedCut } from '../snapshots/create.ts';

/** A group and the root it lives in. */
export interface FoundGroup {
  readonly store: RootStore;
  readonly record: GroupRecord;
}

/** What CreateVolumeGroupSnapshot requests. */
export interface GroupSpec {
  readonly name: string;
  readonly sourceVolumeIds: readonly string[];
  readonly parameters: ReadonlyMap<string, string>;
}

/** Takes snapshots of several volumes at one moment; the same request again finds what the first one made. */
export async function createGroup(host: ServiceHost, spec: GroupSpec): Promise<FoundGroup> {
  refuseParameters(spec.parameters);
  const { store, volumes } = await placesOf(host, spec.sourceVolumeIds);
  const id = localIdOf(spec.name);
  const held = await settleGroup(host, store, id);
  if (!held || held.value.state === 'deleted')
    return {
      store,
      record: await takeGroup(host, store, { called: calledBy(spec), volumes, from: held }),
    };
  const has = held.value.members.map(({ volume }) => volume);
  if (!isSameSet(has, volumes))
    throw new DriverError(
      'name-taken',
      `group snapshot ${JSON.stringify(spec.name)} exists already, of volumes ${has.join(', ')}; use another name`,
    );
  return { store, record: held.value };
}

const calledBy = ({ name, parameters }: GroupSpec): WantedGroup['called'] => ({
  name,
  ...namedBy(kubernetesNameIn(parameters, 'volumegroupsnapshot')),
});

/** The volumes, and the one root that has them all. Throws wrong-state where they are in different roots. */
async function placesOf(
  { roots }: Pick<ServiceHost, 'roots'>,
  ids: readonly string[],
): Promise<{ readonly store: RootStore; readonly volumes: readonly LocalId[] }> {
  const places: PlacedObject[] = [];
  for (const id of ids) {
    const place = await roots.byId(id);
    if (!place) throw volumeMissing(id);
    places.push(place);
  }
  const [first] = places;
  if (!first) throw invalid('source_volume_ids', 'must name at least one volume');
  const other = places.find(({ store }) => store.id !== first.store.id);
  if (other)
    throw new DriverError(
      'wrong-state',
      `volumes ${first.local} and ${other.local} cannot be in one group: they are in different roots, ${first.store.layout.root} and ${other.store.layout.root}; make a group for each root`,
    );
  const volumes = places.map(({ local }) => local);
  const twice = volumes.find((volume, at) => volumes.indexOf(volume) !== at);
  if (twice !== undefined) throw invalid('source_volume_ids', `must not name ${twice} twice`);
  return { store: first.store, volumes };
}

/** The group that is requested, and the record that its id has already. */
interface WantedGroup {
  readonly called: Pick<GroupRecord, 'name' | 'kubernetes'>;
  readonly volumes: readonly LocalId[];
  readonly from: Held<GroupRecord> | undefined;
}

async function takeGroup(
  host: ServiceHost,
  store: RootStore,
  { called, volumes, from }: WantedGroup,
): Promise<GroupRecord> {
  const group = newGroup(host, called, volumes);
  // Every reason to refuse is checked before anything is written.
  const cuts = await planCuts(host, store, group, from);
  const around = await freezing(host, store, cuts);
  using mine = host.claims.begin({ op: 'create' });
  try {
    const begun = { ...group, claim: mine.claim };
    const claimed = await store.groups.swap(group.id, from, begun, 'name');
    await around(() => cutAll(host, store, cuts));
    const ready = { ...group, state: 'ready' as const, createdMs: host.clock.now() };
    return (await store.groups.swap(group.id, claimed, ready, 'name')).value;
  } catch (error) {
    await takeBackGroup(host, store, group.id, mine.claim);
    throw error;
  }
}

function newGroup(
  host: Pick<ServiceHost, 'clock' | 'nonce'>,
  called: WantedGroup['called'],
  volumes: readonly LocalId[],
): GroupRecord {
  const id = localIdOf(called.name);
  return {
    format: recordFormat,
    id,
    ...called,
    state: 'creating',
    attempt: host.nonce(),
    members: volumes.map((volume) => ({ volume, snapshot: memberId(id, volume) })),
    createdMs: host.clock.now(),
    claim: null,
  };
}

async function planCuts(
  host: ServiceHost,
  store: RootStore,
  group: GroupRecord,
  from: Held<GroupRecord> | undefined,
): Promise<readonly PlannedCut[]> {
  const cuts: PlannedCut[] = [];
  for (const { volume, snapshot } of group.members) {
    const held = await settleSnapshot(host, store, snapshot);
    if (held && held.value.state !== 'deleted') {
      await refuseTwice(store, group, from);
      throw new DriverError(
        'name-taken',
        `snapshot ${snapshot}, which group snapshot ${JSON.stringify(group.name)} needs for volume ${volume}, exists already; delete it or use another name`,
      );
    }
    const { id, attempt, kubernetes } = group;
    const called = {
      id: snapshot,
      name: memberName(group, volume),
      ...namedBy(kubernetes),
      group: { id, attempt },
    };
    cuts.push(await planCut(host, store, { called, of: volume, from: held }));
  }
  return cuts;
}

/** Throws busy where another server began the same group since this one read its record: the snapshot is of that one. */
async function refuseTwice(
  store: RootStore,
  { id, name }: GroupRecord,
  from: Held<GroupRecord> | undefined,
): Promise<void> {
  const now = await store.groups.read(id);
  if ((now?.version ?? 0) !== (from?.version ?? 0))
    throw raced(
      `group snapshot ${JSON.stringify(name)} is being taken by another server; try again`,
    );
}

/**
 * How all cuts are of one moment: from before the first until after the last, each volume that can be written to is
 * frozen. A detached volume stays detached; otherwise its record changes, and its cut is refused. A group of one
 * volume is cut like any snapshot.
 */
async function freezing(
  host: Pick<ServiceHost, 'clock' | 'log'>,
  store: RootStore,
  cuts: readonly PlannedCut[],
): Promise<(work: () => Promise<void>) => Promise<void>> {
  const volumes = cuts.map(({ volume }) => volume.value);
  const [only] = volumes;
  if (only && volumes.length === 1) return (work) => whileFrozen(host, store, only, work);
  const frozen = await volumesToFreeze(store, volumes);
  if (frozen.length === 0) return (work) => work();
  const kept = await store.abilities.kept();
  requireCuttableInTime(volumes.length, kept?.latencyMs?.['mmclone snap']);
  return (work) => whileAllFrozen(host, store, frozen, work);
}

/** Makes all cuts. Where one fails, throws once none is under way any more; some may have been made by then. */
async function cutAll(
  host: ServiceHost,
  store: RootStore,
  cuts: readonly PlannedCut[],
): Promise<void> {
  const failed: unknown[] = [];
  await inParallel(cuts, cutsAtOnce, async (cut) => {
    if (failed.length > 0) return;
    await takeSnapshot(host, store, cut, (_, work) => work()).catch((error: unknown) => {
      failed.push(error);
    });
  });
  if (failed.length > 0) throw failed[0];
}
