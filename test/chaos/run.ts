import { mkdir } from 'node:fs/promises';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/model/fault.ts';
import { simulateStatus } from '../../src/simulator/disk/lifecycle/status.ts';
import { disagreements, doctor, leftovers, survivors } from './end.ts';
import { goWrong, heal, type Fault } from './faults.ts';
import { journalIn, type Counts } from './journal.ts';
import { settle } from './calls.ts';
import { newWrites } from './model.ts';
import { ChaosNode } from './ground/node.ts';
import { operate } from './operations/choose.ts';
import { buryPod } from './operations/lost.ts';
import { stopPod } from './operations/pods.ts';
import { randomOf } from './random.ts';
import { newSite, type Site } from './ground/site.ts';
import { removeSnapshot } from './operations/snapshots.ts';
import { compare, removeVolume } from './operations/volumes.ts';
import { Broken, newLane, type Lane, type World } from './world.ts';

/** What a run is made of. */
export interface Plan {
  readonly program: string;
  readonly seed: number;
  /** How long operations and faults go on. Afterwards everything is compared and deleted. */
  readonly ms: number;
  /** Operations that each lane does, however long they take. */
  readonly least?: number;
  readonly servers: number;
  readonly lanes: number;
  readonly faults: readonly Fault[];
  /** Where the simulated GPFS lies. */
  readonly parent: string;
  /** Where the log of the operations and the logs of the servers go. */
  readonly results: string;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  /** How long servers may take at the end to work off what they put off. */
  readonly patienceMs?: number;
  /** Called when all is at rest, before it is compared: for tests that damage something. */
  readonly atRest?: (world: World) => Promise<void>;
  /** Called when everything is deleted, before the harness looks for leftovers. */
  readonly atEnd?: (world: World) => Promise<void>;
}

/** What a run found. */
export interface Outcome {
  /** One sentence for each promise that did not hold. */
  readonly problems: readonly string[];
  readonly counts: Counts;
}

/** Runs servers, operations and faults; compares everything with the model; deletes everything, and looks for leftovers. */
export async function runChaos(plan: Plan): Promise<Outcome> {
  await mkdir(plan.results, { recursive: true });
  const journal = journalIn(join(plan.results, 'operations.ndjson'));
  const site = await newSite(plan.parent);
  const ending = new AbortController();
  const signal = AbortSignal.any([plan.signal, ending.signal]);
  const world = worldOf(plan, site, journal, signal);
  const problems = [...(await life(plan, world, ending).catch((error: unknown) => [error]))].map(
    messageOf,
  );
  problems.push(...(await leave(plan, world, { isBroken: problems.length > 0 })));
  for (const problem of problems) journal.note('problem', { problem });
  journal.close();
  return { problems: plan.signal.aborted ? [] : problems, counts: journal.counts() };
}

/** Ends what runs, keeps what explains a failure, and removes the rest; resolves to what could not be removed. */
async function leave(
  plan: Plan,
  { nodes, site }: World,
  { isBroken }: { readonly isBroken: boolean },
): Promise<readonly string[]> {
  for (const node of nodes) await node.end('SIGKILL');
  for (const { name, log } of nodes) keep(log, join(plan.results, `${name}.log`));
  if (isBroken) for (const root of site.roots) keepRecords(root, plan.results);
  return (await site.close()) ? [] : [`${site.work} could not be removed`];
}

function worldOf(plan: Plan, site: Site, journal: World['journal'], signal: AbortSignal): World {
  const random = randomOf(plan.seed, 'nodes');
  // In half of the runs. Servers compare their clocks with the heartbeats of others, and take over from the silent.
  const apart = random.chance(0.5) ? 1 : 0;
  const clocks = [0, apart * (600_000 - random.int(1_200_000)), apart * random.int(60_000)];
  const nodes = ['a1', 'b1', 'c1']
    .slice(0, plan.servers)
    .map(
      (name, n) => new ChaosNode({ site, program: plan.program, name, clockMs: clocks[n] ?? 0 }),
    );
  let last = 0;
  return {
    site,
    program: plan.program,
    nodes,
    journal,
    writes: newWrites(),
    volumes: new Set(),
    snapshots: new Set(),
    lost: new Set(),
    uncertain: new Set(),
    signal,
    next: () => (last += 1),
  };
}

function keep(from: string, to: string): void {
  cpSync(from, to, { recursive: true, errorOnExist: false, force: true });
}

const keepRecords = (root: string, results: string): void => {
  keep(join(root, '.gpfs-csi'), join(results, `records${root.slice(-3)}`));
};

async function life(plan: Plan, world: World, ending: AbortController): Promise<readonly string[]> {
  const redirectKeeps = randomOf(plan.seed, 'gpfs').chance(0.5);
  await world.site.set({ redirectKeeps });
  for (const node of world.nodes) {
    await node.make();
    await node.start();
  }
  await work(plan, world, ending);
  await heal(world);
  const lane = newLane('end', randomOf(plan.seed, 'end'));
  const patienceMs = plan.patienceMs ?? 90_000;
  const wrong = await atRest(plan, world, lane, patienceMs);
  if (wrong.length > 0) return wrong;
  await removeAll(world, lane);
  await plan.atEnd?.(world);
  const left = [...(await leftovers(world, patienceMs)), ...(await examined(world))];
  for (const node of world.nodes) await node.end('SIGTERM');
  return [...left, ...survivors(world)];
}

/** Stops all pods, starts each server once more, and compares everything. */
async function atRest(
  plan: Plan,
  world: World,
  lane: Lane,
  patienceMs: number,
): Promise<readonly string[]> {
  for (const lost of [...world.lost]) await buryPod(world, lane, lost);
  for (const volume of [...world.volumes]) await stopPod(world, lane, volume);
  await startAgain(world);
  await plan.atRest?.(world);
  const wrong = [...(await compareAll(world)), ...(await disagreements(world, patienceMs))];
  return [...wrong, ...(await examined(world))];
}

async function examined({ program, site }: World): Promise<readonly string[]> {
  // The simulator forgets a file without a name, whose device is gone, only when it looks.
  await simulateStatus({ dir: site.simulator });
  return (await Promise.all(site.roots.map((root) => doctor({ program, site }, root)))).flat();
}

/** Lets lanes and faults run side by side until the time is over, or something broke. */
async function work(plan: Plan, world: World, ending: AbortController): Promise<void> {
  const end = Date.now() + plan.ms;
  const until = () => Date.now() > end;
  const stopAll = (error: unknown): never => {
    ending.abort(error);
    throw error;
  };
  const lanes = Array.from({ length: plan.lanes }, (_, n) => runLane(plan, world, n, until));
  const faults = newLane('faults', randomOf(plan.seed, 'faults'));
  const all = [
    ...lanes,
    ...(plan.faults.length > 0 ? [goWrong(world, faults, { faults: plan.faults, until })] : []),
  ];
  const ended = await Promise.allSettled(all.map((each) => each.catch(stopAll)));
  const broken = ended.flatMap((each) =>
    each.status === 'rejected' ? [each.reason as unknown] : [],
  );
  const first = broken.find((each) => each instanceof Broken) ?? broken[0];
  if (first !== undefined) throw first instanceof Error ? first : new Broken(messageOf(first));
}

async function runLane(
  { seed, least = 0 }: Plan,
  world: World,
  number: number,
  until: () => boolean,
): Promise<void> {
  const lane = newLane(`lane ${number}`, randomOf(seed, `lane ${number}`));
  for (let done = 0; done < least || !until(); done += 1) {
    world.signal.throwIfAborted();
    await operate(world, lane);
    await sleep(lane.random.int(40));
  }
}

/**
 * Each server starts once more, two hours later: what a dead one left is looked at then, and work that was put off with
 * growing pauses is due.
 */
async function startAgain(world: World): Promise<void> {
  for (const node of world.nodes) await node.end('SIGTERM');
  for (const node of world.nodes) {
    node.clockMs = laterMs;
    await node.start();
  }
}

const laterMs = 2 * 3_600_000;

async function compareAll(world: World): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const each of [...world.volumes, ...world.snapshots])
    await compare(world, each).catch((error: unknown) => wrong.push(messageOf(error)));
  return wrong;
}

async function removeAll(world: World, lane: Lane): Promise<void> {
  const all = [...world.volumes, ...world.snapshots];
  while (all.length > 0) {
    const [each] = all.splice(lane.random.int(all.length), 1);
    if (each?.what === 'volume') await removeVolume(world, lane, each);
    else await removeSnapshot(world, lane, each);
  }
  await removeLate(world, lane);
}

/**
 * Deletes what servers made late: a request whose caller gave up, and which a stopped server answered after the object had
 * been deleted, makes it again. The driver cannot know that nobody wants it any more.
 */
async function removeLate(world: World, lane: Lane): Promise<void> {
  const ask = async (rpc: string): Promise<readonly string[]> => {
    const { reply } = await settle(world, lane, { rpc, about: 'all', request: {} });
    const { entries } = reply as { readonly entries: readonly Listed[] };
    const ids = entries.map(({ volume, snapshot }) => volume?.volume_id ?? snapshot?.snapshot_id);
    return ids.filter((id) => id !== undefined && isLate(world, id)) as string[];
  };
  for (const volume_id of await ask('ListVolumes'))
    await settle(world, lane, { rpc: 'DeleteVolume', about: volume_id, request: { volume_id } });
  for (const snapshot_id of await ask('ListSnapshots')) {
    const request = { snapshot_id };
    await settle(world, lane, { rpc: 'DeleteSnapshot', about: snapshot_id, request });
  }
}

interface Listed {
  readonly volume?: { readonly volume_id: string };
  readonly snapshot?: { readonly snapshot_id: string };
}

const isLate = ({ uncertain, journal }: World, id: string): boolean => {
  const late = uncertain.has(id.slice(id.indexOf('.') + 1));
  if (late) journal.count('operations', 'late creation deleted');
  return late;
};
