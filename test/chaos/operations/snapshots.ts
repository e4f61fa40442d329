import { settle } from '../calls.ts';
import { removeImage } from './commands.ts';
import type { Window } from '../model.ts';
import {
  Broken,
  alone,
  beside,
  windowsOf,
  type ChaosSnapshot,
  type ChaosVolume,
  type Lane,
  type Pod,
  type World,
} from '../world.ts';

/** A snapshot as replies have it. */
interface Said {
  readonly snapshot_id: string;
  readonly source_volume_id: string;
  readonly size_bytes: string;
  readonly ready_to_use: boolean;
}

/** Takes a snapshot of a volume, whether pods write to it or not. */
export async function snapshot(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await beside(volume, async () => {
    if (!volume) return;
    const name = `s${world.next()}`;
    await cut(world, [volume], async () => {
      const { reply } = await settle(world, lane, {
        rpc: 'CreateSnapshot',
        about: name,
        request: { name, source_volume_id: volume.id },
      });
      return { name, said: [(reply as { readonly snapshot: Said }).snapshot], group: undefined };
    });
  });
}

/** A node that boots has nothing mounted, and no pod starts there again while a group is being cut. */
const isUp = (pod: Pod | undefined): boolean => !pod || (pod.alive && pod.node.open);

/** Whether a group may be cut with this volume: ext4 is frozen for it, and a raw device must not be in use. */
const fitsGroup = ({ lost }: World, volume: ChaosVolume): boolean => {
  const { kind, name, pod, podBusy, inGroup, alone } = volume;
  if (alone || podBusy || inGroup || !isUp(pod)) return false;
  if ([...lost].some(({ volume }) => volume === name)) return false;
  return kind === 'ext4' || (kind === 'raw' && !pod);
};

/** Takes a group snapshot of two volumes of one root. */
export async function groupSnapshot(
  world: World,
  lane: Lane,
  first: ChaosVolume | undefined,
): Promise<void> {
  const [one, two] = [...world.volumes].filter(
    (each) => each.root === first?.root && fitsGroup(world, each),
  );
  await beside(one, () =>
    beside(two, async () => {
      if (!one || !two || ![one, two].every((each) => fitsGroup(world, each))) return;
      // Pods may write, and neither begin nor end until the group is there.
      for (const each of [one, two]) each.inGroup = true;
      await cutGroup(world, lane, [one, two]).finally(() => {
        for (const each of [one, two]) each.inGroup = false;
      });
    }),
  );
}

async function cutGroup(world: World, lane: Lane, volumes: readonly ChaosVolume[]): Promise<void> {
  const name = `g${world.next()}`;
  await cut(world, volumes, async () => {
    const { reply } = await settle(world, lane, {
      rpc: 'CreateVolumeGroupSnapshot',
      about: name,
      request: { name, source_volume_ids: volumes.map(({ id }) => id) },
      // A node that boots just now has the volume mounted, as far as anybody knows.
      later: /bring that node back/,
    });
    const { group_snapshot: made } = reply as {
      readonly group_snapshot: {
        readonly group_snapshot_id: string;
        readonly snapshots: readonly Said[];
      };
    };
    return { name, said: made.snapshots, group: made.group_snapshot_id };
  });
}

interface Cut {
  readonly name: string;
  readonly said: readonly Said[];
  readonly group: string | undefined;
}

async function cut(
  world: World,
  volumes: readonly ChaosVolume[],
  ask: () => Promise<Cut>,
): Promise<void> {
  const windows = windowsOf(volumes);
  const before = volumes.map(({ bytes }) => bytes);
  try {
    const { name, said, group } = await ask();
    volumes.forEach((volume, n) => {
      const one = said.find(({ source_volume_id }) => source_volume_id === volume.id);
      if (!one?.ready_to_use) throw new Broken(`${name} holds no snapshot of ${volume.name}`);
      const made = { name: `${name}-of-${volume.name}`, group, least: before[n] ?? 0n };
      world.snapshots.add(madeOf(volume, one, windows[n], made));
    });
  } finally {
    for (const window of windows) window.close();
  }
}

function madeOf(
  volume: ChaosVolume,
  { snapshot_id, size_bytes }: Said,
  window: Window | undefined,
  {
    name,
    group,
    least,
  }: { readonly name: string; readonly group: string | undefined; readonly least: bigint },
): ChaosSnapshot {
  const bytes = BigInt(size_bytes);
  if (bytes < least || (bytes > volume.bytes && !volume.growing))
    throw new Broken(`${name} has ${bytes} bytes; its volume had ${least} to ${volume.bytes}`);
  return {
    what: 'snapshot',
    name,
    id: snapshot_id,
    root: volume.root,
    kind: volume.kind,
    bytes,
    content: window?.close() ?? new Map(),
    group,
    readers: 0,
    alone: false,
  };
}

/** Deletes a snapshot, or the group that it belongs to. */
export async function removeSnapshot(
  world: World,
  lane: Lane,
  one: ChaosSnapshot | undefined,
): Promise<void> {
  if (!one) return;
  if (one.what === 'image') {
    await removeImage(world, lane, one);
    return;
  }
  if (one.group !== undefined) {
    await removeGroup(world, lane, one.group);
    return;
  }
  await alone(one, async () => {
    const request = { snapshot_id: one.id };
    await settle(world, lane, { rpc: 'DeleteSnapshot', about: one.name, request });
    world.snapshots.delete(one);
  });
}

async function removeGroup(world: World, lane: Lane, group: string): Promise<void> {
  const members = [...world.snapshots].filter((each) => each.group === group);
  if (members.some((each) => each.alone || each.readers > 0)) return;
  for (const each of members) each.alone = true;
  const request = { group_snapshot_id: group, snapshot_ids: members.map(({ id }) => id) };
  await settle(world, lane, { rpc: 'DeleteVolumeGroupSnapshot', about: group, request });
  for (const each of members) world.snapshots.delete(each);
}
