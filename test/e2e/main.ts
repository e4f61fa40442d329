// `npm run test:e2e`: the chart on a real two-node cluster, from nothing to nothing.
import { parseArgs } from 'node:util';
import { runCases, type Case } from './case.ts';
import { allCases } from './cases/all.ts';
import { kubeconfig } from './cluster/network.ts';
import { leftovers } from './leftovers.ts';
import { release } from './setup/places.ts';
import { kubernetesFolder } from './setup/programs.ts';
import { build, down, say, show, stage, up } from './stages.ts';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stopping.abort(new Error(`stopped by ${signal}`));
  });
}

// The caller has a limit as well, and a run that is killed takes nothing down and counts nothing.
const casesLimitMs = 40 * 60_000;

interface Counts {
  passed: number;
  failed: number;
}

async function test(wanted: readonly Case[], keep: boolean): Promise<number> {
  const start = performance.now();
  const counts = await upAndRun(wanted);
  if (!keep) await downAndCheck(counts);
  say(`\nall of it in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  say(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 ? 0 : 1;
}

async function upAndRun(wanted: readonly Case[]): Promise<Counts> {
  try {
    await up(stopping.signal);
    const verdicts = await stage('cases', stopping.signal, () =>
      runCases(wanted, show, AbortSignal.any([stopping.signal, AbortSignal.timeout(casesLimitMs)])),
    );
    const passed = verdicts.filter(({ ok }) => ok).length;
    return { passed, failed: wanted.length - passed };
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return { passed: 0, failed: wanted.length };
  }
}

async function downAndCheck(counts: Counts): Promise<void> {
  await down();
  const left = await leftovers();
  for (const each of left) say(`left behind: ${each}`);
  if (left.length === 0) counts.passed += 1;
  else counts.failed += 1;
}

function choose(only: string | undefined): readonly Case[] {
  if (only === undefined) return allCases;
  const ids = only.split(',');
  const known = allCases.map(({ id }) => id);
  const unknown = ids.filter((id) => !known.includes(id));
  if (unknown.length > 0)
    throw new Error(`no case ${unknown.join(', ')}; there are ${known.join(', ')}`);
  return allCases.filter(({ id }) => ids.includes(id));
}

function explain(): void {
  say('\nthe cluster stays up; to use it:');
  say(`  export KUBECONFIG=${kubeconfig('admin')} PATH=${kubernetesFolder}:$PATH`);
  say(`  kubectl -n ${release.namespace} get pods`);
  say('to end it: npm run e2e:down');
}

function usage(problem: string): number {
  process.stderr.write(`${problem}\n`);
  process.stderr.write(
    'usage: npm run test:e2e [-- --only CASE[,CASE] --keep], npm run e2e:build, npm run e2e:up, npm run e2e:down\n',
  );
  return 2;
}

const verbs: Readonly<Record<string, (wanted: readonly Case[], keep: boolean) => Promise<number>>> =
  {
    test,
    build: async () => {
      await build(stopping.signal);
      return 0;
    },
    up: async () => {
      await up(stopping.signal);
      explain();
      return 0;
    },
    down: async () => {
      await down();
      return 0;
    },
  };

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, keep: { type: 'boolean' } },
  });
  const run = verbs[positionals.join(' ') || 'test'];
  if (run === undefined)
    throw new Error(`${positionals.join(' ')} is neither test, build, up nor down`);
  return run(choose(values.only), values.keep ?? false);
}

process.exit(
  await main().catch((error: unknown) =>
    usage(error instanceof Error ? error.message : String(error)),
  ),
);
