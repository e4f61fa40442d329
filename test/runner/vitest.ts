import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { complete, type Context } from './command.ts';
import type { Outcome } from './stage.ts';

const result = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

/** What vitest's JSON reporter writes. */
export type VitestReport = z.infer<typeof result>;

/** How vitest is run: through which other program (with its arguments), and with how many workers. */
export interface Manner {
  readonly through?: readonly string[];
  readonly workers?: number;
}

/** Runs the tests of one project of vitest.config.ts. */
export async function vitest(
  context: Context,
  project: string,
  { through = [], workers = 2 }: Manner = {},
): Promise<Outcome> {
  const file = join(context.scratch, `${project}.json`);
  const reporters = ['--reporter=minimal', '--reporter=json', `--outputFile.json=${file}`];
  const words = ['vitest', 'run', '--project', project, `--maxWorkers=${workers}`, ...reporters];
  const [program = '', ...args] = [...through, ...words];
  const { ok, output } = await complete(context, [program, ...args], { limitMs: 30 * 60_000 });
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 1, output };
  return judgeVitest(result.parse(JSON.parse(text)), ok, output);
}

/** Counts tests. One that did not run is no better than one that failed. */
export function judgeVitest(report: VitestReport, ok: boolean, output: string): Outcome {
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const unrun = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  // A file that cannot be loaded fails without a test in it.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status !== 'passed' && !assertionResults.some(isFailed),
  );
  const failed = tests.filter(isFailed).length + unrun.length + broken.length;
  const remarks = [
    ...unrun.map(({ fullName, status }) => `did not run (${status}): ${fullName}`),
    ...(tests.length === 0 ? ['there are no tests'] : []),
  ];
  // Errors outside of any test make vitest fail as a whole.
  const unwell = failed === 0 && (!ok || !report.success || tests.length === 0);
  return {
    passed,
    failed: failed + (unwell ? 1 : 0),
    output: [output.trimEnd(), ...remarks].join('\n'),
  };
}

const isFailed = ({ status }: { readonly status: string }): boolean => status === 'failed';
