import { get, pathOf } from './api.ts';
import { Space, kubectl } from './kube.ts';
import { nodes } from './cluster/node.ts';
import { gpfsDamage } from './gpfs.ts';
import { driverLog } from './pods.ts';
import { longPatienceMs, patienceMs, until } from './setup/wait.ts';
import { traces } from './traces.ts';

/** One thing that must hold on a real cluster. */
export interface Case {
  /** Short, for `--only`. */
  readonly id: string;
  /** What holds, as a sentence. */
  readonly says: string;
  readonly run: (space: Space) => Promise<void>;
}

/** The result of a case. */
export interface Verdict {
  readonly id: string;
  readonly ok: boolean;
  readonly seconds: number;
}

/** Runs cases one after the other, each in a namespace of its own that must leave nothing behind. */
export async function runCases(
  cases: readonly Case[],
  show: (text: string) => void,
  signal: AbortSignal,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const each of cases) {
    if (signal.aborted) {
      show(`  NOT RUN           ${each.id}: ${each.says}\n`);
      continue;
    }
    const start = performance.now();
    const problem = await runCase(each);
    const seconds = (performance.now() - start) / 1000;
    const result = problem === undefined ? 'ok    ' : 'FAILED';
    show(`  ${result} ${seconds.toFixed(1).padStart(6)} s  ${each.id}: ${each.says}\n`);
    if (problem !== undefined) show(`${problem.replaceAll(/^/gm, '         ')}\n`);
    verdicts.push({ id: each.id, ok: problem === undefined, seconds });
  }
  return verdicts;
}

async function runCase({ id, run }: Case): Promise<string | undefined> {
  const space = new Space(`e2e-${id}`);
  const before = new Set(await traces());
  try {
    await kubectl(['create', 'namespace', space.name]);
    await until('the namespace has its account', patienceMs, async () => {
      return (await get(pathOf('serviceaccount/default', space.name))) !== undefined;
    });
    await run(space);
    await clear(space);
    await nothingNew(before);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const state = await look(space).catch(() => '');
    await clear(space).catch(() => undefined);
    return `${why}\n${state}`;
  }
}

// Pods first: a claim stays as long as a pod uses it. Some pods ignore the request to end, hence the grace period.
async function clear(space: Space): Promise<void> {
  const patience = `--timeout=${patienceMs / 1000}s`;
  await space.kubectl(['delete', 'pods', '--all', '--grace-period=1', '--wait=true', patience]);
  await kubectl(['delete', 'namespace', space.name, '--wait=false']);
}

async function nothingNew(before: ReadonlySet<string>): Promise<void> {
  let left: readonly string[] = [];
  // After a change of leaders, and with the provisioner waiting longer after each refusal, minutes may pass.
  await until('all of the case is gone', longPatienceMs, async () => {
    left = (await traces()).filter((each) => !before.has(each));
    return left.length === 0;
  }).catch((error: unknown) => {
    throw new Error(`left behind: ${left.join(', ')}`, { cause: error });
  });
  const damage = await gpfsDamage();
  if (damage.length > 0) throw new Error(`the simulated GPFS is ${damage.join('; ')}`);
}

// What an administrator would look at first.
async function look(space: Space): Promise<string> {
  const objects = await space.kubectl(['get', 'pods,pvc,volumesnapshots', '-o', 'wide']);
  const warnings = ['get', 'events', '--field-selector=type=Warning', '--sort-by=.lastTimestamp'];
  const events = await space.kubectl([
    ...warnings,
    '-o',
    'jsonpath={range .items[*]}{.message}{"\\n"}{end}',
  ]);
  const messages = [...new Set(events.trim().split('\n'))].slice(-15);
  return [objects, ...messages, ...(await complaints())].join('\n');
}

/** The last warnings and errors of the drivers. */
async function complaints(): Promise<readonly string[]> {
  const logs = await Promise.all(
    nodes.map(async (node) => {
      const lines = (await driverLog(node).catch(() => '')).split('\n');
      const bad = lines.filter((line) => /"level":"(?:warn|error)"/.test(line)).slice(-8);
      return bad.map((line) => `${node.name}: ${line.slice(0, 400)}`);
    }),
  );
  return logs.flat();
}
