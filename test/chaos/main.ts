// `npm run test:chaos`: servers, operations and faults for some minutes, chosen by a seed, and everything compared with what
// it must be.
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { program } from '../bench/program.ts';
import { allFaults, type Fault } from './faults.ts';
import { countLines } from './journal.ts';
import { runChaos } from './run.ts';

const usage = `usage: npm run test:chaos -- [--minutes N] [--seed S] [--servers N] [--lanes N] [--faults FAULT[,FAULT]] [--dir DIR]

  --minutes  how long operations and faults go on; default 5
  --seed     decides what is asked, and what goes wrong; default: one by chance
  --servers  1 to 3; default 3
  --lanes    how many operations run side by side; default 5
  --faults   none, or some of ${allFaults.join(', ')}; default: all
  --dir      where the simulated file system lies; default ${tmpdir()}
  --results  where the logs go; default .cache/chaos/SEED
  --program  a bundle of the driver; default: it is built from the source`;

const text = (value: string) => ({ type: 'string', default: value }) as const;

function asked() {
  const { values } = parseArgs({
    options: {
      minutes: text('5'),
      seed: text(String(randomInt(1, 2 ** 31))),
      servers: text('3'),
      lanes: text('5'),
      faults: text(allFaults.join(',')),
      dir: text(tmpdir()),
      results: { type: 'string' },
      program: { type: 'string' },
    },
  });
  const [minutes, seed, servers, lanes] = [
    values.minutes,
    values.seed,
    values.servers,
    values.lanes,
  ].map(Number) as [number, number, number, number];
  const faults = values.faults === 'none' ? [] : values.faults.split(',');
  const isWrong =
    !(minutes > 0 && seed > 0 && lanes > 0 && [1, 2, 3].includes(servers)) ||
    faults.some((each) => !(allFaults as readonly string[]).includes(each));
  if (isWrong) throw new Error('a value is wrong');
  const { dir, results, program } = values;
  return {
    minutes,
    seed,
    servers,
    lanes,
    faults: faults as readonly Fault[],
    dir,
    results,
    program,
  };
}

function read(): ReturnType<typeof asked> {
  try {
    return asked();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exit(2);
  }
}

const show = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const options = read();
const { minutes, seed, servers, lanes, faults } = options;
const usual = join(
  import.meta.dirname,
  '..',
  '..',
  '.cache',
  'chaos',
  `seed-${seed}-${Date.now()}`,
);
const results = resolve(options.results ?? usual);
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    stopping.abort();
  });

show(
  `chaos: ${minutes} min with seed ${seed}, ${servers} servers; the log of operations is in ${results}`,
);
const { problems, counts } = await runChaos({
  program: options.program ?? program(),
  seed,
  ms: minutes * 60_000,
  servers,
  lanes,
  faults,
  parent: resolve(options.dir),
  results,
  signal: stopping.signal,
});
for (const line of countLines(counts)) show(line);
if (stopping.signal.aborted) {
  show('stopped; nothing is left behind');
  process.exit(130);
}
for (const problem of problems) show(`FAILED: ${problem}`);
if (problems.length > 0) {
  const given = process.argv
    .slice(2)
    .filter((word, n, all) => word !== '--seed' && all[n - 1] !== '--seed');
  show(`again: npm run test:chaos -- ${[...given, '--seed', String(seed)].join(' ')}`);
}
show(problems.length === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exit(problems.length === 0 ? 0 : 1);
