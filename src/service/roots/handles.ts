import { DriverError, isFault } from '../../model/fault.ts';
import { parseId, publicId, type LocalId } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { PlacedObject, Roots } from './roots.ts';

/**
 * Throws name-taken where a volume of this name was created in this root and has moved to another one. It keeps
 * its handle permanently, and no other volume may get the same handle. The name is free again once that volume
 * is deleted. `mover` is the volume that wants the name, at its present place.
 */
export async function requireOwnHandle(
  { roots }: { readonly roots: Roots },
  store: RootStore,
  local: LocalId,
  mover?: PlacedObject,
): Promise<void> {
  if ((await store.moved.to(local)) === undefined) return;
  const place = await roots.byId(publicId(store.id, local));
  if (!place || place.store.id === store.id || isSame(place, mover)) return;
  const state = (await place.store.volumes.read(place.local))?.value.state;
  if (state === undefined || state === 'deleted') return store.moved.clear(local);
  throw new DriverError(
    'name-taken',
    `volume ${local} of root ${store.layout.root} was moved to root ${place.store.layout.root}; use another name`,
  );
}

/**
 * Removes the notes that led from the handle of a volume to the root where it was deleted. The last is removed first,
 * so that a repetition finds the others.
 */
export async function forgetMoves(
  { roots }: { readonly roots: Roots },
  id: string,
  { store }: PlacedObject,
): Promise<void> {
  if (parseId(id)?.root === store.id) return;
  const opened = await Promise.allSettled(roots.paths.map((path) => roots.byPath(path)));
  const stores = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const notes: PlacedObject[] = [];
  let note = noteOf(stores, id);
  while (note && note.store.id !== store.id && notes.length < stores.length) {
    notes.unshift(note);
    note = noteOf(stores, await note.store.moved.to(note.local));
  }
  for (const each of notes) await each.store.moved.clear(each.local);
}

/** The place that an id names, where a note on it would lie. */
function noteOf(stores: readonly RootStore[], id = ''): PlacedObject | undefined {
  const parsed = parseId(id);
  const store = stores.find((each) => each.id === parsed?.root);
  return parsed && store ? { store, local: parsed.local } : undefined;
}

/** Removes notes on volumes that are deleted by now: by an older version, or by a server that died. */
export async function sweepMoves(host: { readonly roots: Roots }, store: RootStore): Promise<void> {
  for (const local of await store.moved.all())
    await requireOwnHandle(host, store, local).catch((error: unknown) => {
      // The volume exists, or its root is away.
      if (!isFault(error, 'name-taken', 'unavailable')) throw error;
    });
}

const isSame = (a: PlacedObject, b: PlacedObject | undefined): boolean =>
  a.store.id === b?.store.id && a.local === b.local;
