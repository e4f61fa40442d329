import { join } from 'node:path';
import { DriverError, invalid } from '../../model/fault.ts';
import { parseId, type LocalId } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';

/** An object's root, and its id in that root. */
export interface PlacedObject {
  readonly store: RootStore;
  readonly local: LocalId;
}

/** The configured roots. Each is opened when it is first needed and stays open; each use checks its mount. */
export interface Roots {
  readonly paths: readonly string[];
  /** All of them. Throws unavailable when one of them cannot be used: a list is never partial. */
  all(): Promise<readonly RootStore[]>;
  /** The root that a class names, or the first. Throws invalid-request, naming the configured roots. */
  byPath(path: string | undefined): Promise<RootStore>;
  /**
   * The root and the object behind a public id. Undefined for an id that this driver cannot have issued; throws
   * unavailable for an id of a root that is not configured or not mounted here. With the path of an image that the volume
   * had: the root which that lies in, wherever the volume is now.
   */
  byId(id: string, imagePath?: string): Promise<PlacedObject | undefined>;
}

/** Does something in each root. A root that fails does not stop the others; the first failure is thrown at the end. */
export async function inEachRoot(
  { roots }: { readonly roots: Roots },
  work: (store: RootStore) => Promise<unknown>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const path of roots.paths)
    try {
      await work(await roots.byPath(path));
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}

/** Roots over `open`, which checks and opens one root, and throws while that is not possible. */
export function rootsOf(
  paths: readonly string[],
  open: (path: string) => Promise<RootStore>,
): Roots {
  const opened = new Map<string, Promise<RootStore>>();
  const get = async (path: string): Promise<RootStore> => {
    const opening = opened.get(path) ?? open(path);
    opened.set(path, opening);
    try {
      const store = await opening;
      await store.check();
      return store;
    } catch (error) {
      // Not kept: the next caller opens the root again, after a remount too.
      if (opened.get(path) === opening) opened.delete(path);
      throw error;
    }
  };
  const all = () => Promise.all(paths.map(get));
  return {
    paths,
    all,
    byPath: async (path) => {
      const found = path === undefined ? paths[0] : paths.find((each) => each === path);
      if (found !== undefined) return get(found);
      throw invalid(
        'parameters',
        `key "root" names ${String(path)}, which is not configured; configured are ${paths.join(', ')}`,
      );
    },
    byId: async (id, imagePath) => {
      const above = imagePath === undefined ? undefined : join(imagePath, '../../..');
      const root = paths.find((path) => path === above);
      const parsed = parseId(id);
      if (root === undefined || !parsed) return placeOf(id, paths, get);
      return { store: await get(root), local: parsed.local };
    },
  };
}

async function placeOf(
  id: string,
  paths: readonly string[],
  get: (path: string) => Promise<RootStore>,
): Promise<PlacedObject | undefined> {
  const parsed = parseId(id);
  if (!parsed) return undefined;
  // Volumes of the other roots stay usable while one root is not mounted.
  const results = await Promise.allSettled(paths.map(get));
  const stores = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const store = stores.find((each) => each.id === parsed.root);
  if (store) {
    const to = await store.moved.to(parsed.local);
    // A volume that moved away and back is in this root again.
    return to === undefined || to === id ? { store, local: parsed.local } : placeOf(to, paths, get);
  }
  const away = results.find((each) => each.status === 'rejected');
  throw away
    ? away.reason
    : new DriverError(
        'unavailable',
        `${id} belongs to root ${parsed.root}, which is not configured here; configured are ${paths.join(', ')}`,
      );
}
