import type { Ended } from './command.ts';

/** What a stage found: how many checks passed and failed, and what to show of it. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** Shown beside the counts. */
  readonly note?: string;
  /** Shown in full when something failed. */
  readonly output: string;
}

/** One part of `npm test`. */
export interface Stage {
  readonly name: string;
  /** Stages without which this one says nothing. */
  readonly after?: readonly string[];
  /** Begins when all others have ended: for what looks at the machine as a whole. */
  readonly isLast?: boolean;
  /** `live` is for a stage that takes minutes: it shows what it has to tell as it goes. */
  readonly run: (live: (text: string) => void) => Promise<Outcome>;
}

/** How stages are run. */
export interface Manner {
  /** How many run side by side. */
  readonly atOnce: number;
  /** After an abort no further stage begins. */
  readonly signal: AbortSignal;
  readonly show: (text: string) => void;
}

/** A program that is one check as a whole. */
export const oneCheck = ({ ok, output }: Ended): Outcome => ({
  passed: ok ? 1 : 0,
  failed: ok ? 0 : 1,
  output,
});

/** Runs every stage, whatever became of the others, and shows each as it ends. They begin in the order given. */
export async function runStages(
  stages: readonly Stage[],
  { atOnce, signal, show }: Manner,
): Promise<Outcome> {
  const done = new Map<string, Outcome>();
  const running = new Map<string, Promise<void>>();
  const waiting = [...stages];
  const begin = (stage: Stage): void => {
    waiting.splice(waiting.indexOf(stage), 1);
    const end = runStage(stage, done, show).then((outcome) => {
      done.set(stage.name, outcome);
      running.delete(stage.name);
    });
    running.set(stage.name, end);
  };
  while (waiting.length > 0 || running.size > 0) {
    const ready = waiting.find((stage) => isReady(stage, waiting, running));
    if (ready !== undefined && running.size < atOnce && !signal.aborted) begin(ready);
    else if (running.size > 0) await Promise.race(running.values());
    else break;
  }
  return total([...done.values(), ...waiting.map(neverBegan)]);
}

const neverBegan = (): Outcome => ({ passed: 0, failed: 1, output: '' });

/** Whether all that has to be over before a stage is over. */
function isReady(
  { after = [], isLast = false }: Stage,
  waiting: readonly Stage[],
  running: ReadonlyMap<string, unknown>,
): boolean {
  if (isLast) return running.size === 0 && waiting.every((other) => other.isLast === true);
  return after.every((name) => !running.has(name) && waiting.every((other) => other.name !== name));
}

async function runStage(
  stage: Stage,
  done: ReadonlyMap<string, Outcome>,
  show: (text: string) => void,
): Promise<Outcome> {
  const lacks = stage.after?.find((name) => (done.get(name)?.failed ?? 0) > 0);
  const start = performance.now();
  const outcome = lacks === undefined ? await attempt(stage, show) : pointless(lacks);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  show(`${stage.name.padEnd(12)}${summary(outcome)} in ${seconds} s\n`);
  if (outcome.failed > 0 && outcome.output !== '') show(`${outcome.output.trimEnd()}\n\n`);
  return outcome;
}

async function attempt(stage: Stage, show: (text: string) => void): Promise<Outcome> {
  try {
    return await stage.run(show);
  } catch (error) {
    const output = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { passed: 0, failed: 1, output };
  }
}

const pointless = (lacks: string): Outcome => ({
  passed: 0,
  failed: 1,
  output: `not run, because ${lacks} failed`,
});

function summary({ passed, failed, note }: Outcome): string {
  const counts =
    failed === 0 ? `ok, ${passed} passed` : `FAILED, ${passed} passed, ${failed} failed`;
  return note === undefined ? counts : `${counts} (${note})`;
}

const total = (outcomes: readonly Outcome[]): Outcome => ({
  passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
  failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  output: '',
});
