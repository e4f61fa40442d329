import { errnoError } from '../../run/files.ts';

/** Whether a fault happens before the effect of its call or after it. */
export type When = 'before' | 'after';

/** What every call of a crashed server throws. No code under test handles this error. */
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

/** Numbers the calls of one server and breaks those that a test planned to break. 1 is the next call. */
export interface Faults {
  /** Calls begun so far. */
  readonly calls: number;
  /** The numbers of those that may change something. */
  readonly changing: readonly number[];
  failAt(n: number, when: When, error?: unknown): void;
  crashAt(n: number, when: When): void;
  /** The nth call waits until the returned function is called. */
  stallAt(n: number, when?: When): () => void;
  /** Drops all planned faults and restarts a crashed server. Calls that stall keep waiting for their release. */
  heal(): void;
  crashed: boolean;
  /** Runs one call: numbers it, waits for its turn, then breaks it as planned or performs its effect. */
  through<T>(
    turn: () => Promise<void>,
    effect: () => T | Promise<T>,
    about?: { readonly reads: boolean },
  ): Promise<T>;
}

/** An empty plan of faults for the server of this name. */
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
    changing: [] as number[],
    crashed: false,
    ...planning(add),
    heal: () => {
      plan.clear();
      if (faults.crashed) lives += 1;
      faults.crashed = false;
    },
    through: async <T>(
      turn: () => Promise<void>,
      effect: () => T | Promise<T>,
      about = { reads: false },
    ): Promise<T> => {
      faults.calls += 1;
      if (!about.reads) faults.changing.push(faults.calls);
      const breakages = plan.get(faults.calls) ?? [];
      plan.delete(faults.calls);
      const life = lives;
      // A call that was under way when the server crashed fails even after a restart.
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
