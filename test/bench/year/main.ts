// `npm run bench:year`: a year of nightly backups of one volume, under several ways to look after its clone tree.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { drawYears } from './draw.ts';
import { playYear, policies, volumeBlocks, type Habit, type Year } from './play.ts';

const picture = fileURLToPath(
  new URL('../../../docs/images/clone-trees-year.svg', import.meta.url),
);
const show = (line: string): void => void process.stdout.write(`${line}\n`);

const habits: readonly Habit[] = [0, 7].flatMap((keep) =>
  [5, 40, 200].map((writes) => ({ writes, keep })),
);
const drawn = { writes: 40, keep: 0 };

const most = (values: readonly number[]): number => Math.max(...values);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, each) => sum + each, 0) / values.length;

const row = (name: string, { depth, copied, space }: Year): string =>
  [
    `  ${name.padEnd(18)}`,
    String(most(depth)).padStart(5),
    mean(copied).toFixed(1).padStart(18),
    most(space).toFixed(2).padStart(17),
  ].join('  ');

let failed = 0;
const goal = (what: string, met: boolean): void => {
  show(`  ${met ? 'met     ' : 'NOT MET '} ${what}`);
  if (!met) failed++;
};

show(
  `365 nights: snapshot, write, delete the snapshot so many nights later; ${volumeBlocks} blocks a volume`,
);
const pictured: { readonly name: string; readonly year: Year }[] = [];
for (const habit of habits) {
  show(`\n${habit.writes} block writes a day, ${habit.keep} snapshots kept`);
  show('  policy              depth  copied a night, blocks  space, in volumes');
  const years: Year[] = [];
  for (const policy of policies) {
    const year = await playYear(policy, habit);
    years.push(year);
    show(row(policy.name, year));
    if (habit.writes === drawn.writes && habit.keep === drawn.keep)
      pictured.push({ name: policy.name, year });
  }
  const [ours, flat] = years;
  if (!ours || !flat || habit.keep > 0) continue;
  goal('our rule: depth at most 8', most(ours.depth) <= 8);
  goal('our rule: space under 2 volumes', most(ours.space) < 2);
  goal(
    'our rule copies at least 5 times less than depth 1',
    mean(ours.copied) * 5 <= mean(flat.copied),
  );
}
writeFileSync(picture, drawYears(pictured));
show('\nthe picture of 40 writes a day without kept snapshots is docs/images/clone-trees-year.svg');
process.exit(failed === 0 ? 0 : 1);
