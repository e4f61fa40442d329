import { DriverError, isFault } from '../../model/fault.ts';
import { imageMode, type DataRef, type CloneStep } from '../../model/clone-tree.ts';
import { ownerOfKey } from '../../model/ids.ts';
import { ignoring } from '../../store/edges.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeCommands } from '../host.ts';
import { pathOf, statOf } from './data-files.ts';

/** Performs planned steps, in order, up to the first that fails. */
export async function perform(
  store: RootStore,
  commands: VolumeCommands,
  steps: readonly CloneStep[],
): Promise<void> {
  for (const step of steps) await performOne(store, commands, step);
}

async function performOne(
  store: RootStore,
  commands: VolumeCommands,
  step: CloneStep,
): Promise<void> {
  const at = (file: DataRef) => pathOf(store, file);
  switch (step.do) {
    case 'edge':
      return store.edges.add(step.parent, step.child);
    case 'confirm':
      return confirmParent(store, step.parent);
    case 'make':
      await store.makeIn(at(step.file), () =>
        store.files.createSparse(at(step.file), step.bytes, imageMode),
      );
      return;
    case 'mode':
      return setMode(store, step.file, step.mode);
    case 'grow':
      await store.files.grow(at(step.file), step.bytes);
      return;
    // mm commands do not go through the guarded files: the mount is checked just before them.
    case 'snap':
      await store.directoryOf(at(step.parent));
      return trusted(store, step.file, commands.clone.snap(at(step.file), at(step.parent)));
    case 'copy':
      await store.directoryOf(at(step.file));
      return trusted(store, step.parent, commands.clone.copy(at(step.parent), at(step.file)));
    case 'attributes':
      await store.check();
      return trusted(store, step.file, commands.setAttributes(at(step.file), step.attributes));
  }
}

/**
 * A command on a file. What it says of the file counts only while the root is there: throws unavailable where the
 * root, or for a moment the file, was away.
 */
export async function trusted<T>(store: RootStore, file: DataRef, command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    await store.check();
    if (!isFault(error, 'path-missing') || !(await statOf(store, pathOf(store, file)))) throw error;
    throw new DriverError(
      'unavailable',
      `root ${store.layout.root} was away while a command ran on ${file.key}; try again`,
      error,
    );
  }
}

/**
 * Where GPFS refuses to change the mode of a clone parent, the parent keeps the mode of the image, which only the
 * superuser may read as well.
 */
async function setMode(store: RootStore, file: DataRef, mode: number): Promise<void> {
  const change = store.files.chmod(pathOf(store, file), mode);
  await (file.data === 'volumes' ? change : ignoring(change, 'EROFS', 'EPERM'));
}

/** Throws snapshot-missing unless the parent may still get children. */
export async function confirmParent(store: RootStore, parent: DataRef): Promise<void> {
  const hidden = await store.hidden.read(parent.key);
  if (hidden) {
    // A tombstone may get children too: the edge that was made before keeps its file.
    if (hidden.value.state === 'waiting') return;
  } else {
    const snapshot = await store.snapshots.read(ownerOfKey(parent.key));
    if (snapshot?.value.state === 'ready' && snapshot.value.file?.key === parent.key) return;
  }
  throw new DriverError(
    'snapshot-missing',
    `${ownerOfKey(parent.key)} is being deleted and cannot be cloned any more; name another source`,
  );
}
