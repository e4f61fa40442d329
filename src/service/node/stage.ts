import { canonicalCapability, requireSupported } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { isSameMachine } from '../../store/nodes.ts';
import type { StageAsk } from '../api.ts';
import { attach, type HeldRecord } from './device/attach.ts';
import { detachUnnamed, intending } from './device/loops.ts';
import { requireFit } from './device/fitness.ts';
import { makeClean } from './device/replay.ts';
import { mountVolume } from './device/mount.ts';
import type { NodeRecord } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { lookAt, resolvePath } from './state/paths.ts';
import { isMountedAt, firstPublished, isLive } from './device/places.ts';
import {
  imageIdentity,
  readSource,
  recordContent,
  requireAttached,
  mayBeFrozen,
  type NodeVolume,
} from './device/volume.ts';
import { stoppedFault, whyStopped } from './device/ended-by-kernel.ts';
import { forget, release, tearDown } from './device/release.ts';

const field = 'staging_target_path';

/** Makes a volume usable on this node: mark, loop device, file system, mount. */
export async function stage(host: NodeHost, ask: StageAsk): Promise<void> {
  requireSupported([ask.capability], 'volume_capability');
  using volume = host.lock(ask.id);
  const first = await readSource(host, volume.id);
  const { readonly: readers } = requireAttached(host, first, ask.capability);
  const path = await resolvePath(field, ask.stagingPath, host.kubeletDirectory);
  const found = await host.records.read(volume.id);
  const before = await withoutStopped(host, await reusable(host, first, found, ask, path));
  await requireDirectory(host, path, ask.stagingPath);
  if (before && (await isLive(host, before))) return;
  await refuseOtherMachine(host, first);
  await requireFit(host, first, ask, readers);
  const resumed = before?.attaching !== undefined;
  // The record comes before the mark, or a crash between them would leave a mark that nobody takes away.
  const record = await begin(host, first, ask, path, before);
  try {
    const marked = await mark(host, first, ask);
    const { source, held } = await device(host, marked, { ask, record, resumed });
    const fsType = await fill(host, source, ask, held);
    await host.records.write({ ...held, fsType, staged: true });
    if (mayBeFrozen(source, held)) await host.freezer.watch(volume.id, source.store);
  } catch (error) {
    await abandon(host, volume.id);
    throw error;
  }
}

/**
 * A machine that took over the name of another one must not put its mark over that one's, which may still
 * write. Attaching the volume anew cuts it off.
 */
async function refuseOtherMachine(host: NodeHost, { id, key, store }: NodeVolume): Promise<void> {
  const own = (await store.marks.of(key)).find(({ node }) => node === host.self.node);
  if (!own || isSameMachine(own, host.self)) return;
  throw new DriverError(
    'wrong-state',
    `volume ${id} may still be open on another machine that was node ${host.self.node} before; detach it from this node and attach it again`,
  );
}

interface Begun {
  readonly ask: StageAsk;
  readonly record: NodeRecord;
  readonly resumed: boolean;
}

/** The volume's device here, writable or not as its use has it. */
async function device(
  host: NodeHost,
  { source, readonly, shared }: Marked,
  { ask, record, resumed }: Begun,
): Promise<{ readonly source: NodeVolume; readonly held: HeldRecord }> {
  const { access } = ask.capability;
  const known = { ...record, readonly };
  if (!shared || access.kind === 'block') {
    // Else a file system is read-only by its mount: a journal that needs a replay needs a writable device.
    const how = { readonly: readonly && access.kind === 'block', resumed };
    return { source, held: await attach(host, source, known, how) };
  }
  const emptied = await makeClean(host, { source, record: known, access, resumed });
  const held = await attach(host, source, emptied, { readonly: true, resumed });
  return { source: await readSource(host, ask.id), held };
}

/** After a failure nobody may ever call unstage. What cannot be undone stays in the record, for the next call. */
async function abandon(host: NodeHost, id: string): Promise<void> {
  try {
    const record = await host.records.read(id);
    if (!record || record.targets.length > 0) return;
    await forget(host, await release(host, record));
  } catch {
    // The failure that brought us here is the one to report.
  }
}

async function requireDirectory(host: NodeHost, path: string, asked: string): Promise<void> {
  const found = await lookAt(host.files, field, path);
  if (found?.kind !== 'directory')
    throw new DriverError('wrong-state', `${field} ${JSON.stringify(asked)} is not a directory`);
}

/** A file system that the kernel ended works again once it is mounted anew, which its pods would not see. */
async function withoutStopped(
  host: NodeHost,
  before: NodeRecord | undefined,
): Promise<NodeRecord | undefined> {
  const why = before?.staged === true ? await whyStopped(host, before) : undefined;
  if (!before || why === undefined) return before;
  if (await firstPublished(host, before)) throw stoppedFault(before, why);
  return release(host, { ...before, targets: [] });
}

/**
 * What this node has of the volume and may go on with. An older generation never counts: its image belongs
 * to nobody any more, so whatever uses it is taken down first.
 */
async function reusable(
  host: NodeHost,
  source: NodeVolume,
  before: NodeRecord | undefined,
  ask: StageAsk,
  path: string,
): Promise<NodeRecord | undefined> {
  if (!before) return undefined;
  if (before.generation === source.key && before.staged) {
    requireSameUse(host, source, before, ask, path);
    return before;
  }
  const same = before.generation === source.key && before.stagingPath === path;
  if (same && before.capability === canonicalCapability(ask.capability)) return before;
  await detachUnnamed(host, source.store, await tearDown(host, before));
  if (before.generation !== source.key)
    await source.store.marks.clear(before.generation, host.self.node);
  return undefined;
}

function requireSameUse(
  host: NodeHost,
  source: NodeVolume,
  before: NodeRecord,
  ask: StageAsk,
  path: string,
): void {
  if (before.stagingPath !== path)
    throw new DriverError(
      'in-use',
      `volume ${ask.id} is staged at ${JSON.stringify(before.stagingPath)} on this node; unstage it there first`,
    );
  const { readonly } = requireAttached(host, source, ask.capability);
  if (before.capability !== canonicalCapability(ask.capability) || before.readonly !== readonly)
    throw new DriverError(
      'used-differently',
      `volume ${ask.id} is staged already, with another capability (${before.capability}${before.readonly ? ', read-only' : ''})`,
    );
}

/** A volume that has this node's mark on it, and how it may be used. */
type Marked = ReturnType<typeof requireAttached> & { readonly source: NodeVolume };

/**
 * Leaves the mark, and only then believes the attachment: whoever takes the volume away from this node
 * either sees the mark, or has changed the record before we read it.
 */
async function mark(host: NodeHost, first: NodeVolume, ask: StageAsk): Promise<Marked> {
  await first.store.marks.set(first.key, host.self);
  const source = await readSource(host, ask.id);
  const use = requireAttached(host, source, ask.capability);
  if (source.key === first.key) return { source, ...use };
  throw new DriverError('busy', `volume ${ask.id} got a new image at this moment; try again`);
}

async function begin(
  host: NodeHost,
  source: NodeVolume,
  ask: StageAsk,
  path: string,
  before: NodeRecord | undefined,
): Promise<NodeRecord> {
  const nothing = { readonly: false, fsType: '', loop: null, attaching: undefined, targets: [] };
  const { readonly, fsType, loop, attaching, targets } = before ?? nothing;
  const record: NodeRecord = {
    format: 1,
    volumeId: ask.id,
    bootId: host.self.bootId,
    stagingPath: path,
    stagingAsked: ask.stagingPath,
    generation: source.key,
    imagePath: source.path,
    image: await imageIdentity(host, source),
    kind: ask.capability.access.kind,
    capability: canonicalCapability(ask.capability),
    staged: false,
    ...{ readonly, fsType, loop, attaching, targets },
  };
  // One write for both: what is begun, and that a device will be attached unless the record has one.
  const intended = loop ? record : await intending(host, source.store, record);
  await host.records.write(intended);
  return intended;
}

/** Mounts the file system, or notes that a pod may write anything to the device; resolves to the file system's type. */
async function fill(
  host: NodeHost,
  source: NodeVolume,
  { capability: { access } }: StageAsk,
  held: HeldRecord,
): Promise<string> {
  const { content } = source.record;
  if (access.kind === 'block') {
    const untouched = content.kind === 'empty' || content.kind === 'formatting';
    if (untouched && !held.readonly) await recordContent(host, source, { kind: 'unknown' });
    return '';
  }
  const path = held.stagingPath;
  if (await isMountedAt(host, path, held.loop)) return held.fsType;
  const top = (await host.mounter.at(path)).at(-1);
  if (top)
    throw new DriverError(
      'wrong-state',
      `${top.source} is mounted at ${JSON.stringify(path)}, which is to become the staging path of volume ${source.id}; unmount it first`,
    );
  const { readonly, loop } = held;
  return mountVolume(host, source, access, { loop, path, readonly, mayGrow: !loop.readonly });
}
