import { canonicalCapability, requireSupported } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { isSameMachine } from '../../store/marks.ts';
import type { StageAsk } from '../api.ts';
import { attach, type HeldRecord } from './device/attach.ts';
import { blockDevice, detachUnnamed, withAttaching } from './device/loops.ts';
import { requireFit } from './device/fitness.ts';
import { makeClean } from './device/replay.ts';
import { mountVolume } from './device/mount.ts';
import type { NodeRecord } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { lookAt, resolvePath } from './state/paths.ts';
import { isMountedAt, firstPublished, isLive } from './device/places.ts';
import {
  imageIdentity,
  readVolume,
  recordContent,
  requireAttached,
  mayBeFrozen,
  type NodeVolume,
} from './device/volume.ts';
import { endedFault, whyEnded } from './device/ended-by-kernel.ts';
import { forget, release, tearDown } from './device/release.ts';

const field = 'staging_target_path';

/** What a call asks for: a volume as its record was before this node set its mark, at a resolved path. */
interface Staging {
  readonly first: NodeVolume;
  readonly ask: StageAsk;
  readonly path: string;
}

/** Makes a volume usable on this node: mark, loop device, file system, mount. */
export async function stage(host: NodeHost, ask: StageAsk): Promise<void> {
  requireSupported([ask.capability], 'volume_capability');
  using lock = host.lock(ask.id);
  await stageHeld(host, lock.id, ask);
}

/** The same for a caller that holds the lock of the volume. */
export async function stageHeld(host: NodeHost, id: string, ask: StageAsk): Promise<void> {
  const first = await readVolume(host, id);
  const { readonly } = requireAttached(host, first, ask.capability);
  const path = await resolvePath(field, ask.stagingPath, host.kubeletDirectory);
  const staging = { first, ask, path };
  const found = await host.records.read(id);
  const before = await withoutEnded(host, await reusable(host, staging, found));
  await requireDirectory(host, staging);
  if (before && (await isLive(host, before))) return;
  await refuseOtherMachine(host, first);
  await requireFit(host, first, { capability: ask.capability, readonly });
  const resumed = before?.attaching !== undefined;
  // The record comes before the mark: a crash between them would else leave a mark that nothing clears.
  const record = await begin(host, staging, before);
  try {
    const marked = await mark(host, first, ask);
    const { volume, held } = await attachFor(host, marked, { ask, record, resumed });
    const fsType = await mountOrNote(host, volume, ask, held);
    await host.records.write({ ...held, fsType, staged: true });
    if (mayBeFrozen(volume, held)) await host.freezer.watch(id, volume.store);
  } catch (error) {
    await abandon(host, id);
    throw error;
  }
}

/**
 * A machine that took over the name of another one must not overwrite the mark of that one, which may still
 * write. Attaching the volume again cuts the other machine off.
 */
async function refuseOtherMachine(
  host: Pick<NodeHost, 'self'>,
  { id, key, store }: NodeVolume,
): Promise<void> {
  const own = (await store.marks.of(key)).find(({ node }) => node === host.self.node);
  if (!own || isSameMachine(own, host.self)) return;
  throw new DriverError(
    'wrong-state',
    `volume ${id} may still be open on another machine that was node ${host.self.node} before; detach it from this node and attach it again`,
  );
}

/** A stage whose record is written. */
interface Begun {
  readonly ask: StageAsk;
  readonly record: NodeRecord;
  readonly resumed: boolean;
}

/** Attaches the volume's device, read-only where its use allows that. */
async function attachFor(
  host: NodeHost,
  { volume, readonly, shared }: Marked,
  { ask, record, resumed }: Begun,
): Promise<{ readonly volume: NodeVolume; readonly held: HeldRecord }> {
  const { access } = ask.capability;
  const known = { ...record, readonly };
  if (!shared || access.kind === 'block') {
    // The mount makes a file system read-only, not the device: replaying a journal needs a writable device.
    const how = { readonly: readonly && access.kind === 'block', resumed };
    return { volume, held: await attach(host, volume, known, how) };
  }
  const emptied = await makeClean(host, { volume, record: known, access, resumed });
  const held = await attach(host, volume, emptied, { readonly: true, resumed });
  return { volume: await readVolume(host, ask.id), held };
}

/** Undoes a failed stage, since the kubelet may never call unstage. What cannot be undone stays in the record. */
async function abandon(host: NodeHost, id: string): Promise<void> {
  try {
    const record = await host.records.read(id);
    if (!record || record.targets.length > 0) return;
    await forget(host, await release(host, record));
  } catch {
    // The caller gets the failure of the stage, not this one.
  }
}

async function requireDirectory(
  host: Pick<NodeHost, 'files'>,
  { ask, path }: Staging,
): Promise<void> {
  const found = await lookAt(host.files, field, path);
  if (found?.kind === 'directory') return;
  const shown = JSON.stringify(ask.stagingPath);
  throw new DriverError(
    'wrong-state',
    `${field} ${shown} is not a directory; remove what is there, unless it is in use, and restart the kubelet`,
  );
}

/**
 * Releases a file system that the kernel ended, so that it is mounted again. Throws wrong-state where pods
 * have it: they would keep the old mount, which stays broken.
 */
async function withoutEnded(
  host: NodeHost,
  before: NodeRecord | undefined,
): Promise<NodeRecord | undefined> {
  const why = before?.staged === true ? await whyEnded(host, before) : undefined;
  if (!before || why === undefined) return before;
  if (await firstPublished(host, before)) throw endedFault(before, why);
  return release(host, { ...before, targets: [] });
}

/**
 * What an earlier stage left here that this one can continue with. An older generation never counts: no
 * volume has its image any more, so its mounts and devices are taken down first.
 */
async function reusable(
  host: NodeHost,
  staging: Staging,
  before: NodeRecord | undefined,
): Promise<NodeRecord | undefined> {
  if (!before) return undefined;
  const { first, ask, path } = staging;
  if (before.generation === first.key && before.staged) {
    requireSameUse(host, staging, before);
    return before;
  }
  const same = before.generation === first.key && before.stagingPath === path;
  if (same && before.capability === canonicalCapability(ask.capability)) return before;
  await detachUnnamed(host, first.store, await tearDown(host, before));
  if (before.generation !== first.key)
    await first.store.marks.clear(before.generation, host.self.node);
  return undefined;
}

function requireSameUse(
  host: Pick<NodeHost, 'self'>,
  { first, ask, path }: Staging,
  before: NodeRecord,
): void {
  if (before.stagingPath !== path)
    throw new DriverError(
      'in-use',
      `volume ${ask.id} is staged at ${JSON.stringify(before.stagingPath)} on this node; unstage it there first`,
    );
  const { readonly } = requireAttached(host, first, ask.capability);
  if (before.capability !== canonicalCapability(ask.capability) || before.readonly !== readonly)
    throw new DriverError(
      'used-differently',
      `volume ${ask.id} is staged already, with another capability (${before.capability}${before.readonly ? ', read-only' : ''}); delete the pods that use it on this node, so that it is staged again`,
    );
}

/** A volume that this node has marked, and how this node may use it. */
type Marked = ReturnType<typeof requireAttached> & { readonly volume: NodeVolume };

/**
 * Sets the mark, and checks the attachment again afterwards: a server that detaches the volume from this node
 * either sees the mark, or changed the record before this node reads it.
 */
async function mark(
  host: Pick<NodeHost, 'self' | 'roots'>,
  first: NodeVolume,
  ask: StageAsk,
): Promise<Marked> {
  await first.store.marks.set(first.key, host.self);
  const volume = await readVolume(host, ask.id);
  const use = requireAttached(host, volume, ask.capability);
  if (volume.key === first.key) return { volume, ...use };
  throw new DriverError('busy', `volume ${ask.id} got a new image at this moment; try again`);
}

const nothingKept = {
  readonly: false,
  fsType: '',
  loop: null,
  attaching: undefined,
  targets: [],
} as const satisfies Partial<NodeRecord>;

/** Writes the record of a stage that begins. It keeps the device and targets that this node has already. */
async function begin(
  host: NodeHost,
  { first, ask, path }: Staging,
  before: NodeRecord | undefined,
): Promise<NodeRecord> {
  const kept = before ?? nothingKept;
  const record: NodeRecord = {
    format: 1,
    volumeId: ask.id,
    bootId: host.self.bootId,
    stagingPath: path,
    stagingAsked: ask.stagingPath,
    generation: first.key,
    imagePath: first.path,
    image: await imageIdentity(host, first),
    kind: ask.capability.access.kind,
    capability: canonicalCapability(ask.capability),
    staged: false,
    readonly: kept.readonly,
    fsType: kept.fsType,
    loop: kept.loop,
    attaching: kept.attaching,
    targets: kept.targets,
  };
  // One write says both: a stage begins, and a device will be attached unless the record names one.
  const intended = record.loop ? record : await withAttaching(host, first.store, record);
  await host.records.write(intended);
  return intended;
}

/**
 * Mounts the file system and resolves to its type. For a raw block volume it records that a pod may write
 * anything to the device, and resolves to ''.
 */
async function mountOrNote(
  host: NodeHost,
  volume: NodeVolume,
  { capability: { access } }: StageAsk,
  held: HeldRecord,
): Promise<string> {
  const { content } = volume.record;
  if (access.kind === 'block') {
    if (content.kind !== 'unknown' && !held.readonly)
      await recordContent(host, volume, { kind: 'unknown' });
    return '';
  }
  const path = held.stagingPath;
  if (await isMountedAt(host, path, held.loop)) return held.fsType;
  const top = (await host.mounter.at(path)).at(-1);
  if (top)
    throw new DriverError(
      'wrong-state',
      `${top.source} is mounted at ${JSON.stringify(path)}, which must become the staging path of volume ${volume.id}; unmount it first`,
    );
  const { readonly, loop } = held;
  // Pods may still have it mounted where only the staging mount vanished, and ext4 cannot be checked meanwhile.
  const isInUse = (await host.mounter.of(await blockDevice(loop))).length > 0;
  const mayGrow = !loop.readonly && !isInUse;
  return mountVolume(host, volume, access, { loop, path, readonly, mayGrow });
}
