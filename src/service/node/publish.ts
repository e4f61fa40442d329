import {
  canonicalCapability,
  flagsIn,
  requireSupported,
  sameUse,
  type Capability,
} from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import type { Loop } from '../../linux/loop.ts';
import type { Mount } from '../../run/mounts.ts';
import type { PublishAsk } from '../api.ts';
import { noteAttaching } from './device/attach.ts';
import { detachUnnamed, obtainLoop, isAsWanted } from './device/loops.ts';
import type { NodeRecord, Target } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { lookAt, resolvePath } from './state/paths.ts';
import { isMountedAt, isOfVolume, isLive } from './device/places.ts';
import { targetFor } from './state/targets.ts';
import { readVolume, requireAttached, type NodeVolume } from './device/volume.ts';
import { endedFault, whyEnded } from './device/ended-by-kernel.ts';
import { stageHeld } from './stage.ts';
import { drop, removePlace } from './unpublish.ts';

const field = 'target_path';

/** Makes a staged volume visible to a pod: binds the mount, or the device node, to the target path. */
export async function publish(host: NodeHost, ask: PublishAsk): Promise<void> {
  requireSupported([ask.capability], 'volume_capability');
  using lock = host.lock(ask.id);
  const volume = await readVolume(host, lock.id);
  requireAttached(host, volume, ask.capability);
  const { record, loop } = await requireStaged(host, volume, ask);
  const path = await resolvePath(field, ask.targetPath, host.kubeletDirectory);
  const target = targetFor(record, {
    asked: ask.targetPath,
    path,
    readonly: ask.readonly,
    capability: canonicalCapability(ask.capability),
    mode: ask.capability.mode,
    loop: null,
  });
  const before = await placeBefore(host, record, target);
  const noted = await note(host, record, target);
  try {
    if (!before.isThere) await makePlace(host, path, record.kind);
    const device = await deviceFor(host, volume, noted, { target, loop });
    await bind(host, record.kind === 'mount' ? record.stagingPath : device.path, device, target);
  } catch (error) {
    if (before.isNew) await withdraw(host, volume, path, before);
    throw error;
  }
}

/** What was at a target before this publication. */
interface Before {
  /** No record of this node has the target. */
  readonly isNew: boolean;
  readonly isThere: boolean;
  readonly isMounted: boolean;
}

/** Checks the target before anything is written or made, so that a refusal leaves nothing behind. */
async function placeBefore(
  host: Pick<NodeHost, 'files' | 'mounter'>,
  record: NodeRecord,
  target: Target,
): Promise<Before> {
  const { path } = target;
  const found = await lookAt(host.files, field, path);
  const fits = record.kind === 'mount' ? ['directory'] : ['file', 'block'];
  if (found && !fits.includes(found.kind))
    throw new DriverError(
      'wrong-state',
      `${field} ${JSON.stringify(path)} is a ${found.kind}; remove it, then try again`,
    );
  const top = (await host.mounter.at(path)).at(-1);
  if (top && !(await isOfVolume(record, top))) throw mountedAlready(top, path);
  const isNew = !record.targets.some((each) => each.path === path);
  return { isNew, isThere: found !== undefined, isMounted: top !== undefined };
}

/**
 * Undoes a publication that failed. The kubelet takes its target for unused and may never unpublish it, which
 * would keep the volume staged permanently. What cannot be undone stays in the record.
 */
async function withdraw(
  host: NodeHost,
  { id, store }: NodeVolume,
  path: string,
  before: Before,
): Promise<void> {
  try {
    const record = await host.records.read(id);
    const target = record?.targets.find((each) => each.path === path);
    if (!record || !target) return;
    if (!before.isMounted) await host.mounter.unmount(path);
    if (!before.isThere) await removePlace(host, path);
    await detachUnnamed(host, store, record);
    await drop(host, { ...record, attaching: undefined }, target);
  } catch {
    // The caller gets the failure of the publication, not this one.
  }
}

async function requireStaged(
  host: NodeHost,
  volume: NodeVolume,
  ask: PublishAsk,
): Promise<{ readonly record: NodeRecord; readonly loop: Loop }> {
  const { id, capability } = ask;
  const refuse = (why: string) => new DriverError('wrong-state', `volume ${id} ${why}`);
  const known = await stagedAt(host, ask);
  if (!known) throw notStaged(ask);
  if (known.generation !== volume.key)
    throw refuse('got a new image since it was staged here; unstage it and stage it again');
  if (!sameUse(known.capability, canonicalCapability(capability)))
    throw refuse(
      `is staged with another capability (${known.capability}) than it is published with`,
    );
  const live = (await liveRecord(host, id)) ?? (await stageAgain(host, known, ask));
  if (!live) throw notStaged(ask);
  const why = await whyEnded(host, live.record);
  if (why !== undefined) throw endedFault(live.record, why);
  return live;
}

const notStaged = ({ id, stagingPath }: PublishAsk): DriverError =>
  new DriverError(
    'wrong-state',
    `volume ${id} is not staged at ${JSON.stringify(stagingPath)} here; stage it first`,
  );

/** What this node knows of a stage at the path that a publication names, in this boot or an earlier one. */
async function stagedAt(
  { records, vanished }: Pick<NodeHost, 'records' | 'vanished'>,
  { id, stagingPath }: PublishAsk,
): Promise<NodeRecord | undefined> {
  const known = (await records.asWritten(id)) ?? vanished.get(id);
  return [known?.stagingPath, known?.stagingAsked].includes(stagingPath) ? known : undefined;
}

/** The record of a volume whose device and staging mount are there. */
async function liveRecord(
  host: NodeHost,
  id: string,
): Promise<{ readonly record: NodeRecord; readonly loop: Loop } | undefined> {
  const record = await host.records.read(id);
  const { loop } = record ?? {};
  return record && loop && (await isLive(host, record)) ? { record, loop } : undefined;
}

/**
 * Stages a volume that its caller staged, and whose mount or device vanished since: an administrator unmounted it, or
 * the machine booted. The caller takes it for staged, so it would not ask for that again. Resolves to undefined where
 * no stage had succeeded: its caller still has to repeat it.
 */
async function stageAgain(host: NodeHost, known: NodeRecord, ask: PublishAsk) {
  const { id } = ask;
  if (!known.staged) return undefined;
  // A stage that fails removes the record; the next publication has to try again.
  host.vanished.set(id, known);
  await stageHeld(host, id, { ...ask, capability: capabilityOf(known, ask) });
  host.vanished.delete(id);
  return liveRecord(host, id);
}

/** The capability that a volume was staged with: the kubelet may add a flag for one pod. */
function capabilityOf({ capability }: NodeRecord, ask: PublishAsk): Capability {
  const { access } = ask.capability;
  if (access.kind === 'block' || capability === canonicalCapability(ask.capability))
    return ask.capability;
  return { ...ask.capability, access: { ...access, flags: flagsIn(capability) } };
}

/** Writes a target into the record, before or after a step on it. */
async function note(
  { records }: Pick<NodeHost, 'records'>,
  record: NodeRecord,
  target: Target,
): Promise<NodeRecord> {
  const others = record.targets.filter(({ path }) => path !== target.path);
  const noted = { ...record, targets: [...others, target] };
  await records.write(noted);
  return noted;
}

/** The device to bind. A bind cannot make it read-only: a read-only publication of a writable one gets its own. */
async function deviceFor(
  host: NodeHost,
  volume: NodeVolume,
  record: NodeRecord,
  { target, loop }: { readonly target: Target; readonly loop: Loop },
): Promise<Loop> {
  if (record.kind === 'mount' || !target.readonly || loop.readonly) return loop;
  const { loop: own } = target;
  const wanted = { record: volume.record, readonly: true };
  if (own && (await isAsWanted(host, own, record, wanted))) return own;
  const intended = await noteAttaching(host, volume, record);
  const made = await obtainLoop(host, volume, intended, { readonly: true, resumed: true });
  await note(host, { ...intended, attaching: undefined }, { ...target, loop: made });
  return made;
}

/** Makes the directory or file to bind to. The caller makes only the directory above it. */
async function makePlace(
  { files }: Pick<NodeHost, 'files'>,
  path: string,
  kind: NodeRecord['kind'],
): Promise<void> {
  if (kind === 'mount') await files.makeDirectory(path, 0o750);
  else await files.createSparse(path, 0n, 0o600);
}

async function bind(
  host: Pick<NodeHost, 'mounter'>,
  from: string,
  loop: Loop,
  target: Target,
): Promise<void> {
  const { path, readonly } = target;
  const before = (await host.mounter.at(path)).at(-1);
  if (before && !(await isMountedAt(host, path, loop))) throw mountedAlready(before, path);
  if (!before) await host.mounter.bind(from, path, { readonly });
  // mount(8) makes a read-only bind in two steps and may have died between them.
  else if (readonly && !isReadonly(before)) await host.mounter.remountBindReadonly(path);
  await verify(host, loop, target);
}

const mountedAlready = ({ source }: Mount, path: string): DriverError =>
  new DriverError(
    'wrong-state',
    `${source} is mounted at ${field} ${JSON.stringify(path)}; unmount it first`,
  );

/** Checks that the kernel shows the bind; that the command succeeded does not prove it. */
async function verify(
  host: Pick<NodeHost, 'mounter'>,
  loop: Loop,
  { path, readonly }: Target,
): Promise<void> {
  const top = (await host.mounter.at(path)).at(-1);
  const right = await isMountedAt(host, path, loop);
  if (top && right && (!readonly || isReadonly(top))) return;
  throw new DriverError(
    'command-failed',
    `${loop.path} was bound to ${JSON.stringify(path)}, but the kernel does not show it there as asked`,
  );
}

const isReadonly = ({ options }: Mount): boolean => options.includes('ro');
