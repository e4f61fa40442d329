// `npm run bench`: how fast the driver is, and what it costs, over the simulator's executables.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { executables, type Executables } from '../support/disk/executables.ts';
import { readOptions } from './asked.ts';
import { load, machine } from './machine.ts';
import type { Bench, Found, Part } from './part.ts';
import { costs } from './parts/costs.ts';
import { crowd } from './parts/crowd.ts';
import { data } from './parts/data.ts';
import { floor } from './parts/floor.ts';
import { idle } from './parts/idle.ts';
import { images } from './parts/images.ts';
import { list } from './parts/list.ts';
import { many } from './parts/many.ts';
import { rpc } from './parts/rpc.ts';
import { size } from './parts/sizes.ts';
import { stage } from './parts/stage.ts';
import { tables } from './print.ts';
import { program } from './program.ts';
import { startServer } from './server.ts';

// A driver in this process fills a root; it waits for the disk as a server does.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const usual = { idle, floor, costs, rpc, crowd, stage, size, list, images };
// For `npm run bench:node`, which needs fio.
const parts: Readonly<Record<string, Part>> = { ...usual, data, many };
const names = Object.keys(parts).join(', ');

const usage = `usage: npm run bench -- [--quick] [--only PART[,PART]] [--json FILE] [--dir DIR]

  --quick   a few of everything, in a minute: to see that it runs
  --only    of ${names}
  --json    where to write the numbers; default .cache/bench.json
  --dir     where the simulated file system lies; default ${tmpdir()}`;

const options = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', default: Object.keys(usual).join(',') },
  json: { type: 'string', default: join(import.meta.dirname, '..', '..', '.cache', 'bench.json') },
  dir: { type: 'string', default: tmpdir() },
  help: { type: 'boolean', default: false },
} as const;

const show = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function runAll(
  bench: Bench,
  chosen: readonly string[],
): Promise<Readonly<Record<string, Found>>> {
  const found: Record<string, Found> = {};
  for (const name of chosen) {
    bench.signal.throwIfAborted();
    const part = parts[name];
    if (!part) continue;
    const before = load();
    const result = await part(bench);
    found[name] = result;
    show(`\n${name} (load before ${before}, after ${load()})\n${tables(result)}\n`);
  }
  return found;
}

function benchOn(ground: Executables, quick: boolean, signal: AbortSignal): Bench {
  const built = program();
  return {
    ground,
    quick,
    signal,
    withServer: async (name, use, logLevel = 'info') => {
      const server = await startServer({ ground, program: built, name, logLevel, signal });
      try {
        return await use(server);
      } finally {
        await server.stop();
      }
    },
    say: (text) => {
      process.stderr.write(`… ${text}\n`);
    },
  };
}

/** Runs the benchmark; resolves to what is wrong with what it leaves behind. */
async function main(signal: AbortSignal): Promise<readonly string[]> {
  const { quick, only, json, dir, help } = readOptions(() => parseArgs({ options }).values, {
    parts,
    usage,
  });
  if (help) {
    show(usage);
    return [];
  }
  const about = { ...machine(), loadBefore: load(), started: new Date().toISOString(), quick, dir };
  show(
    Object.entries(about)
      .map(([key, value]) => `${key} ${value}`)
      .join(', '),
  );
  const ground = await executables(resolve(dir));
  try {
    const found = await runAll(benchOn(ground, quick, signal), only.split(','));
    const file = resolve(json);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify({ ...about, loadAfter: load(), ...found }, null, 2)}\n`);
    show(`load after: ${load()}\nnumbers in ${file}`);
    return await ground.problems();
  } finally {
    await ground.close();
  }
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    stopping.abort();
  });

try {
  const problems = await main(stopping.signal);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} catch (error) {
  if (!stopping.signal.aborted) throw error;
  process.stderr.write('stopped; nothing is left behind\n');
  process.exitCode = 130;
}
