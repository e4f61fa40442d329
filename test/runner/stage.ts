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

/** One step of `npm test`. */
export interface Stage {
  readonly name: string;
  /** Stages without which this one says nothing. */
  readonly after?: readonly string[];
  /** `live` is for a stage that takes minutes: it shows what it has to tell as it goes. */
  readonly run: (live: (text: string) => void) => Promise<Outcome>;
}

/** A program that is one check as a whole. */
export const oneCheck = ({ ok, output }: Ended): Outcome => ({
  passed: ok ? 1 : 0,
  failed: ok ? 0 : 1,
  output,
});

/** Runs every stage, whatever became of those before it, and shows each as it ends. */
export async function runStages(
  stages: readonly Stage[],
  signal: AbortSignal,
  show: (text: string) => void,
): Promise<Outcome> {
  const done = new Map<string, Outcome>();
  for (const stage of stages) {
    if (signal.aborted) break;
    const lacks = stage.after?.find((name) => (done.get(name)?.failed ?? 0) > 0);
    const start = performance.now();
    const outcome = lacks === undefined ? await attempt(stage, show) : pointless(lacks);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    done.set(stage.name, outcome);
    show(`${stage.name.padEnd(12)}${summary(outcome)} in ${seconds} s\n`);
    if (outcome.failed > 0 && outcome.output !== '') show(`${outcome.output.trimEnd()}\n\n`);
  }
  return total([...done.values()]);
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
