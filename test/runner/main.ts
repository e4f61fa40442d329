// `npm test`: every check of the project, and one line at the end that counts them.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { sanityStage } from '../sanity/stage.ts';
import { complete, type Context } from './command.ts';
import { checkLeaks, runMark, takeStock } from './leaks.ts';
import { oneCheck, runStages, type Stage } from './stage.ts';
import { vitest } from './vitest.ts';

const root = dirname(dirname(import.meta.dirname));
// Everything the tests make lies in here: a short path, because sockets lie in it too.
const scratch = mkdtempSync(join(tmpdir(), 'gct-'));
const mark = randomUUID();
const stopping = new AbortController();
const context: Context = {
  root,
  scratch,
  env: { ...process.env, TMPDIR: scratch, [runMark]: mark },
  signal: stopping.signal,
};
const before = takeStock(mark);

const program = (...argv: [string, ...string[]]): Stage['run'] => {
  return async () => oneCheck(await complete(context, argv, { limitMs: 15 * 60_000 }));
};

const lint: Stage['run'] = async (live) => {
  const tools = [await program('eslint', '.')(live), await program('knip')(live)];
  return oneCheck({
    ok: tools.every(({ failed }) => failed === 0),
    output: tools.map(({ output }) => output).join('\n'),
  });
};

const testFolders = ['unit', 'property', 'contract', 'chart'] as const;

function stagesFor(only: readonly string[]): readonly Stage[] {
  const wanted = testFolders.filter((name) => only.includes(name));
  const filters = wanted.map((name) => `test/${name}/`);
  const all: readonly Stage[] = [
    { name: 'types', run: program('tsc', '--noEmit') },
    { name: 'lint', run: lint },
    { name: 'format', run: program('prettier', '--check', '.') },
    { name: 'vitest', run: () => vitest(context, filters) },
    { name: 'build', run: program('node', 'scripts/build.mjs') },
    sanityStage(context),
    { name: 'leaks', run: () => checkLeaks(before, mark) },
  ];
  const names = new Set([...all.map(({ name }) => name), ...testFolders]);
  const unknown = only.filter((name) => !names.has(name));
  if (unknown.length > 0)
    usage(`there is no ${unknown.join(', ')}; choose of ${[...names].join(', ')}`);
  if (only.length === 0) return all;
  return all.filter(({ name }) => only.includes(name) || (name === 'vitest' && filters.length > 0));
}

function usage(problem: string): never {
  clearScratch();
  process.stderr.write(`${problem}\nusage: npm test [-- --only STAGE[,STAGE]]\n`);
  process.exit(2);
}

function readOnly(): readonly string[] {
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' } } });
    return values.only?.split(',') ?? [];
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
const { passed, failed } = await runStages(stagesFor(readOnly()), stopping.signal, show);
clearScratch();
if (stopping.signal.aborted) {
  show('stopped before the end\n');
  process.exit(130);
}
show(`\nall of it in ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
show(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
