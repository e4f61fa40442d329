// csi-sanity on the built server over the simulator: by hand `npm run test:sanity`, and part of `npm test`.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bringUp, takeDown } from './ground.ts';
import { accessTypes, sanityRun, type Plan } from './once.ts';
import { csiSanityTool, goTool } from '../support/tools/go-tool.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    summary: { type: 'string' },
  },
});
const seeds = values.seeds.split(',').map(Number);

const plain = { withSecrets: false, withTopology: false };

const plans: readonly Plan[] = [
  ...accessTypes.flatMap((access) => seeds.map((seed) => ({ access, seed, ...plain }))),
  { access: 'mount', seed: seeds[0] ?? 1, ...plain, withSecrets: true },
  ...accessTypes.map((access) => ({ access, seed: seeds[0] ?? 1, ...plain, withTopology: true })),
];

const folder = await mkdtemp(join(tmpdir(), 'cs-'));
const dir = join(folder, 'sim');
let stopped = false;
const isStopping = (): boolean => stopped;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    stopped = true;
  });
}

/** Every plan on one simulator, each with a root of its own. */
async function everyPlan(): Promise<{ readonly passed: number; readonly failed: number }> {
  const tool = await goTool(csiSanityTool);
  const ground = await bringUp(dir);
  const sum = { passed: 0, failed: 0 };
  for (const plan of plans) {
    if (isStopping()) break;
    const { line, passed, problems, log } = await sanityRun(tool, ground, plan);
    // The results of an interrupted run mean nothing.
    if (isStopping()) break;
    sum.passed += passed;
    sum.failed += problems.length;
    process.stdout.write(`  ${line}\n`);
    for (const problem of problems) process.stdout.write(`    ${problem}\n`);
    if (problems.length > 0) process.stdout.write(`${log}\n`);
  }
  return sum;
}

try {
  const sum = await everyPlan();
  if (values.summary !== undefined) await writeFile(values.summary, JSON.stringify(sum));
  process.exitCode = sum.failed === 0 && !isStopping() ? 0 : 1;
} finally {
  await takeDown({ dir });
  await rm(folder, { recursive: true, force: true });
}
