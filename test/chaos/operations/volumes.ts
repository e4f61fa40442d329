import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../../src/model/bytes.ts';
import type { VolumeCapability, VolumeContentSource } from '../../../src/wire/types.ts';
import { asBlock, asMount, fromSnapshot, fromVolume } from '../../support/disk/csi.ts';
import { settle } from '../calls.ts';
import { fileOf, verify } from '../files.ts';
import { Track, type Content } from '../model.ts';
import {
  Broken,
  alone,
  beside,
  windowsOf,
  type ChaosSnapshot,
  type ChaosVolume,
  type Kind,
  type Lane,
  type World,
} from '../world.ts';

/** The size that volumes of a kind begin with. */
const firstBytes: Readonly<Record<Kind, bigint>> = {
  raw: 8n * MiB,
  ext4: 64n * MiB,
  xfs: 320n * MiB,
};

/** How a volume is asked for. */
export const capabilityOf = ({
  kind,
  shared,
}: Pick<ChaosVolume, 'kind' | 'shared'>): VolumeCapability =>
  kind === 'raw' ? asBlock(shared ? 'MULTI_NODE_MULTI_WRITER' : undefined) : asMount(kind);

interface Draft {
  readonly kind: Kind;
  readonly root: string;
  readonly content: Content;
  readonly bytes: bigint;
  /** Parameters of the class, besides the root. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly from?: VolumeContentSource;
}

/** Asks for a volume until there is one. */
async function create(world: World, lane: Lane, draft: Draft): Promise<ChaosVolume> {
  const number = world.next();
  const name = `v${number}`;
  const shared = draft.kind === 'raw' && lane.random.chance(0.3);
  const { reply } = await settle(world, lane, {
    rpc: 'CreateVolume',
    about: name,
    request: {
      name,
      volume_capabilities: [capabilityOf({ kind: draft.kind, shared })],
      capacity_range: { required_bytes: String(draft.bytes) },
      parameters: {
        root: draft.root,
        // So that groups may be cut while they are mounted; xfs stays without.
        ...(draft.kind === 'ext4' ? { freeze: 'auto' } : {}),
        ...draft.parameters,
      },
      ...(draft.from ? { volume_content_source: draft.from } : {}),
    },
  });
  const { volume } = reply as {
    readonly volume: { readonly volume_id: string; readonly capacity_bytes: string };
  };
  if (BigInt(volume.capacity_bytes) !== draft.bytes)
    throw new Broken(`${name} was asked for with ${draft.bytes} bytes: ${volume.capacity_bytes}`);
  const made: ChaosVolume = {
    what: 'volume',
    name,
    id: volume.volume_id,
    root: draft.root,
    kind: draft.kind,
    bytes: draft.bytes,
    track: new Track(number, draft.content),
    pod: undefined,
    podBusy: false,
    inGroup: false,
    growing: false,
    shared,
    readers: 0,
    alone: false,
  };
  world.volumes.add(made);
  return made;
}

/** Creates a volume without a source. */
export async function createEmpty(world: World, lane: Lane): Promise<void> {
  const { random } = lane;
  const kind = random.weighted({ raw: 6, ext4: 3, xfs: 1 });
  const root = random.of(world.site.roots);
  const thick = kind === 'raw' && random.chance(0.25);
  await create(world, lane, {
    kind,
    root,
    content: new Map(),
    bytes: firstBytes[kind] + BigInt(random.int(4)) * MiB,
    parameters: {
      ...(thick ? { provisioning: 'thick' } : {}),
      ...(random.chance(0.3) ? { dataReplicas: '1' } : {}),
    },
  });
}

/** Where a copy goes: beside its source as a clone, or now and then into the other root, byte by byte. */
function rootOfCopy(
  { site }: World,
  { random }: Lane,
  { root }: Pick<ChaosVolume, 'root'>,
): Pick<Draft, 'root' | 'parameters'> {
  if (random.chance(0.85)) return { root };
  const other = site.roots.find((each) => each !== root) ?? root;
  return { root: other, parameters: { crossRootCopy: 'true' } };
}

/** Creates a volume from a snapshot or an image, perhaps larger. */
export async function restore(
  world: World,
  lane: Lane,
  source: ChaosSnapshot | undefined,
): Promise<void> {
  await beside(source, async () => {
    if (!source) return;
    const { kind, content } = source;
    const more = lane.random.chance(0.3) ? 4n * MiB : 0n;
    const common = { kind, content, bytes: source.bytes + more };
    const how =
      source.what === 'image'
        ? { root: source.root, parameters: { image: source.name } }
        : { ...rootOfCopy(world, lane, source), from: fromSnapshot(source.id) };
    await create(world, lane, { ...common, ...how });
  });
}

/** Creates a volume from a volume, whether pods write to that or not. */
export async function clone(
  world: World,
  lane: Lane,
  source: ChaosVolume | undefined,
): Promise<void> {
  await beside(source, async () => {
    if (!source || source.growing) return;
    source.growing = true;
    const [window] = windowsOf([source]);
    try {
      const { kind, bytes } = source;
      const more = lane.random.chance(0.2) ? 4n * MiB : 0n;
      const from = fromVolume(source.id);
      const made = await create(world, lane, {
        kind,
        ...rootOfCopy(world, lane, source),
        content: new Map(),
        bytes: bytes + more,
        from,
      });
      made.track.become(window?.close() ?? new Map());
    } finally {
      source.growing = false;
      window?.close();
    }
  });
}

/** Asks for a larger volume, in use or not. */
export async function expand(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await beside(volume, async () => {
    if (!volume || volume.growing || volume.bytes > 3n * firstBytes[volume.kind]) return;
    volume.growing = true;
    try {
      const bytes = volume.bytes + BigInt(1 + lane.random.int(8)) * MiB;
      const { reply } = await settle(world, lane, {
        rpc: 'ControllerExpandVolume',
        about: volume.name,
        request: { volume_id: volume.id, capacity_range: { required_bytes: String(bytes) } },
      });
      const { capacity_bytes } = reply as { readonly capacity_bytes: string };
      if (BigInt(capacity_bytes) !== bytes)
        throw new Broken(`${volume.name} was expanded to ${bytes} bytes: ${capacity_bytes}`);
      volume.bytes = bytes;
    } finally {
      volume.growing = false;
    }
  });
}

const changes: readonly Readonly<Record<string, string>>[] = [
  { dataReplicas: '1' },
  { dataReplicas: '2' },
  { maxCloneDepth: '5' },
  { maxCloneDepth: '50' },
];

/** Changes attributes of a volume. */
export async function modify(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await beside(volume, async () => {
    if (!volume) return;
    const mutable_parameters = lane.random.any(changes) ?? {};
    await settle(world, lane, {
      rpc: 'ControllerModifyVolume',
      about: volume.name,
      request: { volume_id: volume.id, mutable_parameters },
    });
  });
}

/** Compares the file of a volume or snapshot that nothing works on with the model. */
export async function inspect(
  world: World,
  lane: Lane,
  thing: ChaosVolume | ChaosSnapshot | undefined,
): Promise<void> {
  await alone(thing, async () => {
    if (!thing) return;
    lane.steps += 1;
    await compare(world, thing);
  });
}

/** The same without asking whether something works on it. */
export async function compare(world: World, thing: ChaosVolume | ChaosSnapshot): Promise<void> {
  const isVolume = thing.what === 'volume';
  if (thing.kind !== 'raw' || thing.what === 'image') return;
  const path = await fileOf(thing.root, isVolume ? 'volumes' : 'snapshots', thing.id);
  const content = isVolume ? thing.track.content : thing.content;
  const { name, kind, bytes } = thing;
  await verify(world, path, { name, kind, content, bytes });
}

/** Deletes a volume that no pod uses. */
export async function removeVolume(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await alone(volume, async () => {
    if (!volume) return;
    const request = { volume_id: volume.id };
    await settle(world, lane, { rpc: 'DeleteVolume', about: volume.name, request });
    world.volumes.delete(volume);
    await rm(join(world.site.work, 'pods', volume.name), { recursive: true, force: true });
  });
}
