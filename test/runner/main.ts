// `npm test`: every check of the project, and one line at the end that counts them. `npm run check`: the quick ones.
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Context } from './command.ts';
import { runMark, takeStock } from './leaks.ts';
import { runStages, type Stage } from './stage.ts';
import { allStages, quickStages } from './stages.ts';

const root = dirname(dirname(import.meta.dirname));
// Everything the tests make lies in here: a short path, because sockets lie in it too.
const scratch = mkdtempSync(join(tmpdir(), 'gct-'));
// Tools that run as a user without rights are tried below it.
chmodSync(scratch, 0o711);
const mark = randomUUID();
const stopping = new AbortController();
const context: Context = {
  root,
  scratch,
  env: { ...process.env, TMPDIR: scratch, [runMark]: mark, ...colours() },
  signal: stopping.signal,
};
const before = { inventory: takeStock(mark), mark };

// Programs write into a pipe here: whether their words may be coloured is known to us alone.
function colours(): Readonly<Record<string, string>> {
  return process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
}

function usage(problem: string): never {
  clearScratch();
  process.stderr.write(
    `${problem}\nusage: npm test [-- --only STAGE[,STAGE]], npm run check [-- --only STAGE[,STAGE]]\n`,
  );
  process.exit(2);
}

/** What was asked for: some stages or all, with caches or without. */
function readStages(): readonly Stage[] {
  const { only, quick } = readWords();
  const all = allStages(context, before, quick);
  const names = all.map(({ name }) => name);
  const wanted = only ?? (quick ? quickStages : names);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) usage(`there is no ${unknown.join(', ')}; choose of ${names.join(', ')}`);
  return all.filter(({ name }) => wanted.includes(name));
}

function readWords(): { readonly only: readonly string[] | undefined; readonly quick: boolean } {
  try {
    const { values } = parseArgs({
      options: { only: { type: 'string' }, quick: { type: 'boolean', default: false } },
    });
    return { only: values.only?.split(','), quick: values.quick };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

// A mount that was left is named by the stage before; removing what lies in it would be worse.
function clearScratch(): void {
  const held = readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${scratch}/`);
  if (!held) rmSync(scratch, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stopping.abort();
  });
}

const start = performance.now();
const show = (text: string): void => {
  process.stdout.write(text);
};
const { passed, failed } = await runStages(readStages(), {
  atOnce: 2,
  signal: stopping.signal,
  show,
});
clearScratch();
if (stopping.signal.aborted) {
  show('stopped before the end\n');
  process.exit(130);
}
show(`\nall of it in ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
show(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
