import { sanityStage } from '../sanity/stage.ts';
import { complete, type Context } from './command.ts';
import { checkLeaks, type Inventory } from './leaks.ts';
import { oneCheck, type Stage } from './stage.ts';
import { vitest, type Manner } from './vitest.ts';

/** What was on the machine before, and the mark of the processes of this run. */
export interface Before {
  readonly inventory: Inventory;
  readonly mark: string;
}

/** What `npm run check` runs: what an editor of one file wants to know within a minute. */
export const quickStages: readonly string[] = ['types', 'lint', 'format', 'tidy', 'unit'];

const cacheFolder = 'node_modules/.cache';

/** A cache that knows a file by its text. */
const contentIn = (place: string): readonly string[] => [
  '--cache',
  '--cache-strategy',
  'content',
  '--cache-location',
  `${cacheFolder}/${place}`,
];

// What only computes leaves the processors to tests that a clock measures.
const aside = ['nice', '-n', '5'] as const;

// The linter's cache knows a file by its own text: it does not see that a type has changed in another one.
const caches = {
  tsc: ['--incremental', '--tsBuildInfoFile', `${cacheFolder}/tsc.tsbuildinfo`],
  eslint: contentIn('eslint/'),
  knip: ['--cache', '--cache-location', `${cacheFolder}/knip`],
  prettier: contentIn('prettier.json'),
};

/** Every stage of `npm test`, in the order in which they begin; `cached` leaves out what was checked before. */
export function allStages(context: Context, before: Before, cached: boolean): readonly Stage[] {
  const limitMs = 15 * 60_000;
  const program = (...argv: [string, ...string[]]): Stage['run'] => {
    return async () => oneCheck(await complete(context, [...aside, ...argv], { limitMs }));
  };
  const tool = (name: keyof typeof caches, ...args: string[]): Stage['run'] =>
    program(name, ...args, ...(cached ? caches[name] : []));
  const project = (name: string, manner: Manner = {}): Stage => ({
    name,
    run: () => vitest(context, name, manner),
  });
  return [
    // It waits for disks much of the time and takes longest: one worker more, and all other stages beside it.
    project('contract', { workers: 3 }),
    { name: 'lint', run: bothOf(tool('eslint', '.'), tool('knip')) },
    project('unit'),
    // The page of the report is written for browsers, which have other names than Node.
    {
      name: 'types',
      run: bothOf(tool('tsc', '--noEmit'), program('tsc', '--noEmit', '-p', 'src/page')),
    },
    { name: 'format', run: tool('prettier', '--check', '.') },
    project('tidy'),
    project('chart'),
    { name: 'build', run: program('node', 'scripts/build.mjs') },
    sanityStage(context),
    project('property', { through: aside }),
    { name: 'leaks', isLast: true, run: () => checkLeaks(before.inventory, before.mark) },
  ];
}

/** Two programs that are one check together. */
const bothOf = (one: Stage['run'], other: Stage['run']): Stage['run'] => {
  return async (live) => {
    const found = [await one(live), await other(live)];
    return oneCheck({
      ok: found.every(({ failed }) => failed === 0),
      output: found.map(({ output }) => output).join('\n'),
    });
  };
};
