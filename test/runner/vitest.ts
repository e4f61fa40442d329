import { readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
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

/** Runs the tests whose path holds one of `filters`, or all of them. */
export async function vitest(context: Context, filters: readonly string[]): Promise<Outcome> {
  const file = join(context.scratch, 'vitest.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { ok, output } = await complete(context, ['vitest', 'run', ...reporters, ...filters], {
    limitMs: 30 * 60_000,
  });
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 1, output };
  return judgeVitest(result.parse(JSON.parse(text)), ok, output, context.root);
}

/** Counts tests. One that did not run is no better than one that failed. */
export function judgeVitest(
  report: VitestReport,
  ok: boolean,
  output: string,
  root: string,
): Outcome {
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
    note: perFolder(report, root),
    output: [output.trimEnd(), ...remarks].join('\n'),
  };
}

const isFailed = ({ status }: { readonly status: string }): boolean => status === 'failed';

function perFolder({ testResults }: VitestReport, root: string): string {
  const counts = new Map<string, number>();
  for (const { name, assertionResults } of testResults) {
    const [folder = ''] = relative(join(root, 'test'), name).split(sep);
    counts.set(folder, (counts.get(folder) ?? 0) + assertionResults.length);
  }
  return [...counts]
    .toSorted()
    .map(([folder, count]) => `${folder} ${count}`)
    .join(', ');
}
