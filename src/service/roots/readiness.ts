import { isFault } from '../../model/fault.ts';
import type { RootId } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { Roots } from './roots.ts';

/** Which roots can be used now. */
export interface Survey {
  readonly usable: readonly RootId[];
  /**
   * Why some cannot be used; a fault that an administrator must correct comes before one that may pass.
   * Undefined when all can be used.
   */
  readonly why: Error | undefined;
}

/** Checks every root, and opens those that can be used for the first time. */
export async function surveyOf(roots: Roots): Promise<Survey> {
  const results = await Promise.allSettled(roots.paths.map((path) => usableRoot(roots, path)));
  const usable = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value.id] : []));
  const failures = results.flatMap((each) =>
    each.status === 'rejected' ? [asError(each.reason)] : [],
  );
  const why = failures.find((error) => !isFault(error, 'unavailable')) ?? failures[0];
  return { usable, why };
}

/** A root that records can be written in; the check of each use does not see that. */
async function usableRoot(roots: Roots, path: string): Promise<RootStore> {
  const store = await roots.byPath(path);
  await store.requireUsable();
  return store;
}

const asError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new Error(String(reason));

/** How many roots a driver needs to be ready: all, or at least one. */
export type Needs = 'every root' | 'some root';

/** Whether a driver with these needs is ready. Throws a fault that an administrator must correct. */
export function readinessIn({ usable, why }: Survey, needs: Needs): 'ready' | 'starting' {
  if (why === undefined) return 'ready';
  if (!isFault(why, 'unavailable')) throw why;
  return needs === 'some root' && usable.length > 0 ? 'ready' : 'starting';
}
