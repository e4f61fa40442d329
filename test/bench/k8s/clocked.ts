import { watch, type Change, type Seen } from '../../e2e/api.ts';
import { longPatienceMs, until } from '../../e2e/setup/wait.ts';

/** When an object appeared and when it was done, by the clock of this process. */
interface Moments {
  readonly began: number;
  readonly done?: number;
}

/** How long each of some objects took from its creation until it is done, and how long all of them together. */
export interface Clocked {
  readonly samples: readonly number[];
  readonly wallMs: number;
}

/** Runs what makes the objects, and waits until each of them is done. */
export async function clocked(
  path: string,
  names: readonly string[],
  isDone: (object: Seen) => boolean,
  make: () => Promise<unknown>,
): Promise<Clocked> {
  const seen = new Map<string, Moments>();
  let problem: unknown;
  const tell = ({ type, object }: Change): void => {
    if (type === 'ERROR') problem = object;
    const { name } = object.metadata;
    const before = seen.get(name) ?? { began: performance.now() };
    const done = before.done ?? (isDone(object) ? performance.now() : undefined);
    seen.set(name, done === undefined ? before : { ...before, done });
  };
  const stop = await watch(path, tell);
  const start = performance.now();
  try {
    await make();
    await until(`${names.length} objects are done`, longPatienceMs, () =>
      Promise.resolve(
        problem !== undefined || names.every((name) => seen.get(name)?.done !== undefined),
      ),
    );
    if (problem !== undefined)
      throw new Error(`the watch of ${path} ended: ${JSON.stringify(problem)}`);
  } finally {
    stop();
  }
  const found = names.map((name) => seen.get(name) ?? { began: NaN });
  return {
    samples: found.map(({ began, done = NaN }) => done - began),
    wallMs: Math.max(...found.map(({ done = NaN }) => done)) - start,
  };
}
