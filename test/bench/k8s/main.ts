// `npm run bench:k8s`: how fast the driver is in a real two-node cluster, and what it costs there.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Space, kubectl } from '../../e2e/kube.ts';
import { leftovers } from '../../e2e/leftovers.ts';
import { down, say, up } from '../../e2e/stages.ts';
import { readOptions } from '../asked.ts';
import { load, machine } from '../machine.ts';
import type { Found } from '../part.ts';
import { tables } from '../print.ts';
import { after, claims, idle, pods, snapshots, type K8sPart } from './parts.ts';

const parts: Readonly<Record<string, K8sPart>> = { idle, claims, pods, snapshots, after };
const names = Object.keys(parts);
const file = join(import.meta.dirname, '..', '..', '..', '.cache', 'bench-k8s.json');

const usage = `usage: npm run bench:k8s -- [--quick] [--only PART[,PART]] [--json FILE]

  --quick   a few of everything: to see that it runs
  --only    of ${names.join(', ')}
  --json    where to write the numbers; default .cache/bench-k8s.json`;

const options = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', default: names.join() },
  json: { type: 'string', default: file },
} as const;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    stopping.abort(new Error(`stopped by ${signal}`));
  });

async function measure(chosen: readonly string[], quick: boolean) {
  const found: Record<string, Found> = {};
  for (const name of chosen) {
    const part = parts[name];
    if (part === undefined) continue;
    stopping.signal.throwIfAborted();
    const space = new Space(`bench-${name}`);
    await kubectl(['create', 'namespace', space.name]);
    const before = load();
    const result = await part({ space, quick });
    found[name] = result;
    say(`\n${name} (load before ${before}, after ${load()})\n${tables(result)}`);
    await kubectl(['delete', 'namespace', space.name]);
  }
  return found;
}

async function main(): Promise<number> {
  const { quick, only, json } = readOptions(() => parseArgs({ options }).values, { parts, usage });
  const about = { ...machine(), loadBefore: load(), started: new Date().toISOString(), quick };
  say(
    Object.entries(about)
      .map((pair) => pair.join(' '))
      .join(', '),
  );
  try {
    await up(stopping.signal);
    const found = await measure(only.split(','), quick);
    mkdirSync(dirname(resolve(json)), { recursive: true });
    const numbers = { ...about, loadAfter: load(), ...found };
    writeFileSync(resolve(json), `${JSON.stringify(numbers, null, 2)}\n`);
    say(`\nload after: ${load()}\nnumbers in ${resolve(json)}`);
  } finally {
    await down();
  }
  const left = await leftovers();
  for (const each of left) say(`left behind: ${each}`);
  return left.length === 0 ? 0 : 1;
}

process.exit(
  await main().catch((error: unknown) => {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }),
);
