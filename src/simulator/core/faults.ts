import { errnoError } from '../../run/files.ts';

/** Before a call has its effect, or after. */
export type When = 'before' | 'after';

/** What every call of a crashed server fails with: an error no program expects. */
export class ServerCrashed extends Error {
  override readonly name = 'ServerCrashed';

  constructor(server: string) {
    super(`server ${server} has crashed and was not restarted`);
  }
}

type Breakage =
  | { readonly kind: 'fail'; readonly when: When; readonly error: unknown }
  | { readonly kind: 'crash'; readonly when: When }
  | { readonly kind: 'stall'; readonly when: When; readonly wait: Promise<unknown> };

/** Numbers the calls of one server, and breaks those it was told to. Counting is from now: 1 is the next call. */
export interface Faults {
  /** Calls begun so far. */
  readonly calls: number;
  failAt(n: number, when: When, error?: unknown): void;
  crashAt(n: number, when: When): void;
  /** The nth call waits until the returned function is called. */
  stallAt(n: number, when?: When): () => void;
  /** Forgets what was planned; a crashed server runs again. Stalled calls go on waiting for their release. */
  heal(): void;
  crashed: boolean;
  /** Passes one call through, numbered as it begins: waits its turn, breaks, or has its effect. */
  through<T>(turn: () => Promise<void>, effect: () => T | Promise<T>): Promise<T>;
}

/** A plan of faults for the server of this name. */
export function makeFaults(server: string): Faults {
  const plan = new Map<number, Breakage[]>();
  let lives = 0;
  const add = (n: number, breakage: Breakage): void => {
    if (!Number.isSafeInteger(n) || n < 1)
      throw new Error('calls are counted from 1, the next one');
    const at = faults.calls + n;
    plan.set(at, [...(plan.get(at) ?? []), breakage]);
  };

  const faults = {
    calls: 0,
    crashed: false,
    ...planning(add),
    heal: () => {
      plan.clear();
      if (faults.crashed) lives += 1;
      faults.crashed = false;
    },
    through: async <T>(turn: () => Promise<void>, effect: () => T | Promise<T>): Promise<T> => {
      faults.calls += 1;
      const breakages = plan.get(faults.calls) ?? [];
      plan.delete(faults.calls);
      const life = lives;
      // What was under way when the server crashed stays dead, also after a restart.
      const alive = (): void => {
        if (faults.crashed || lives !== life) throw new ServerCrashed(server);
      };
      alive();
      await turn();
      alive();
      await happen(faults, breakages, 'before');
      alive();
      const result = await effect();
      await happen(faults, breakages, 'after');
      alive();
      return result;
    },
  };
  return faults;
}

const planning = (
  add: (n: number, breakage: Breakage) => void,
): Pick<Faults, 'failAt' | 'crashAt' | 'stallAt'> => ({
  failAt: (n, when, error = errnoError('EIO', 'simulated', `call ${n}`)) => {
    add(n, { kind: 'fail', when, error });
  },
  crashAt: (n, when) => {
    add(n, { kind: 'crash', when });
  },
  stallAt: (n, when = 'before') => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    add(n, { kind: 'stall', when, wait: promise });
    return () => {
      resolve(undefined);
    };
  },
});

async function happen(
  server: { crashed: boolean },
  breakages: readonly Breakage[],
  when: When,
): Promise<void> {
  for (const breakage of breakages) {
    if (breakage.when !== when) continue;
    if (breakage.kind === 'stall') await breakage.wait;
    if (breakage.kind === 'crash') server.crashed = true;
    if (breakage.kind === 'fail') throw breakage.error;
  }
}
