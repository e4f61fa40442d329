import { DriverError } from '../../model/fault.ts';
import { publicId, type LocalId } from '../../model/ids.ts';
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

const isSame = (a: PlacedObject, b: PlacedObject | undefined): boolean =>
  a.store.id === b?.store.id && a.local === b.local;
