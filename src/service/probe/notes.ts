import { mmErrno } from '../../gpfs/failures.ts';
import type { TrialOutcome, Outcomes, Trial } from '../../model/abilities.ts';
import { isFault, messageOf } from '../../model/fault.ts';
import type { Clock } from '../../run/clock.ts';
import { errnoOf } from '../../run/files.ts';

/** Collects what a probe finds out. */
export interface Notes {
  readonly outcomes: Outcomes;
  /** Milliseconds that the last run of each command took. */
  readonly latencyMs: Readonly<Record<string, number>>;
  /** Tries one thing and notes the outcome; true when GPFS allowed it. */
  attempt(trial: Trial, act: () => Promise<void>): Promise<boolean>;
  /** Runs a command and notes how long it took. */
  timed<T>(command: string, act: () => Promise<T>): Promise<T>;
}

/** GPFS allowed a trial, but the result is not what it should be. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';
}

/** Throws a Contradiction unless what was read is what should be there. */
export function expectRead(what: string, found: unknown, wanted: unknown): void {
  if (found === wanted) return;
  throw new Contradiction(
    `${what} is ${JSON.stringify(String(found))}, not ${JSON.stringify(String(wanted))}`,
  );
}

/** An empty notebook. */
export function notesOf(clock: Clock): Notes {
  const outcomes: Partial<Record<Trial, TrialOutcome>> = {};
  const latencyMs: Record<string, number> = {};
  let away: string | undefined;
  return {
    outcomes,
    latencyMs,
    attempt: async (trial, act) => {
      const startMs = clock.now();
      const outcome =
        away === undefined
          ? await act().then(
              (): TrialOutcome => ({ kind: 'yes', ms: clock.now() - startMs }),
              refused,
            )
          : ({ kind: 'unknown', ms: 0, why: away } as const);
      // A file system that is not mounted or full gives no answers, and each further trial could take its time limit.
      if (outcome.kind === 'unknown') away = outcome.why;
      outcomes[trial] = { ...outcome, ms: clock.now() - startMs };
      return outcome.kind === 'yes';
    },
    timed: async (command, act) => {
      const startMs = clock.now();
      const result = await act();
      latencyMs[command] = clock.now() - startMs;
      return result;
    },
  };
}

const refusals = ['EROFS', 'EPERM', 'EBUSY', 'EINVAL', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'];

function refused(error: unknown): TrialOutcome {
  const why = messageOf(error);
  if (error instanceof Contradiction) return { kind: 'no', ms: 0, why };
  const errno = mmErrno(error) ?? errnoOf(error) ?? '';
  const passing = isFault(error, 'unavailable', 'no-space');
  return !passing && refusals.includes(errno)
    ? { kind: 'no', ms: 0, why: errno }
    : { kind: 'unknown', ms: 0, why };
}
