import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosNode } from './ground/node.ts';
import { running } from './ground/processes.ts';
import { signal } from '../support/disk/processes.ts';
import { Broken, type Lane, type World } from './world.ts';

/** What goes wrong, and how often beside the others. */
const weights = {
  kill: 8,
  term: 3,
  stop: 4,
  'stop for long': 4,
  reboot: 3,
  latency: 3,
  full: 2,
  quota: 2,
  down: 2,
  unmounted: 2,
  hang: 2,
  'really full': 2,
} as const;

/** The faults that there are. */
export type Fault = keyof typeof weights;
export const allFaults = Object.keys(weights) as readonly Fault[];

/** Lets things go wrong, one after the other, until the run ends. Afterwards everything is well again. */
export async function goWrong(
  world: World,
  lane: Lane,
  { faults, until }: { readonly faults: readonly Fault[]; readonly until: () => boolean },
): Promise<void> {
  const chosen = Object.fromEntries(faults.map((each) => [each, weights[each]]));
  while (!until() && !world.signal.aborted) {
    await sleep(300 + lane.random.int(3_000));
    const fault = lane.random.weighted(chosen) as Fault;
    const node = lane.random.any(world.nodes);
    if (!node) return;
    world.journal.note('fault', { fault, node: node.name });
    world.journal.count('faults', fault);
    await befall(world, lane, fault, node);
    world.journal.note('well again', { fault, node: node.name });
  }
}

async function befall(world: World, lane: Lane, fault: Fault, node: ChaosNode): Promise<void> {
  const { random } = lane;
  const { site } = world;
  switch (fault) {
    case 'kill':
    case 'term':
      await node.end(fault === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await sleep(random.int(1_500));
      return start(node);
    case 'stop':
    case 'stop for long':
      node.stop();
      if (fault === 'stop for long') await node.fallSilent(200_000);
      await sleep(500 + random.int(fault === 'stop' ? 4_000 : 12_000));
      node.wake();
      return;
    case 'reboot':
      return reboot(world, node, random.int(2_000));
    case 'latency':
      await site.set({ latencyMs: 50 + random.int(600) });
      await sleep(2_000 + random.int(8_000));
      return site.set({ latencyMs: 0 });
    case 'full':
    case 'quota':
      await site.set({ [fault]: true });
      await sleep(500 + random.int(5_000));
      return site.set({ [fault]: false });
    case 'down':
      await site.set({ daemon: 'down' });
      await sleep(500 + random.int(5_000));
      return site.set({ daemon: 'active' });
    case 'hang':
      return hang(world, 300 + random.int(2_000));
    case 'really full':
      return reallyFull(world, 500 + random.int(3_000));
    case 'unmounted':
      return unmounted(node, random.int(4_000));
  }
}

async function start(node: ChaosNode): Promise<void> {
  await node.start().catch((error: unknown) => {
    throw new Broken(String(error));
  });
}

/** Waits until no pod of the node is being worked on, and keeps it so; false where that takes too long. */
async function emptied(node: ChaosNode): Promise<boolean> {
  node.open = false;
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (node.busy === 0) return true;
    await sleep(50);
  }
  node.open = true;
  return false;
}

async function reboot(world: World, node: ChaosNode, downMs: number): Promise<void> {
  if (!(await emptied(node))) return;
  // A group waits for the pods of its volumes, and these do not start again before it is there.
  if ([...world.volumes].some(({ inGroup, pod }) => inGroup && pod?.node === node)) {
    node.open = true;
    return;
  }
  world.journal.count('faults', 'reboot that came');
  await node.crash(world.nodes.filter((each) => each !== node));
  for (const { pod } of world.volumes) if (pod?.node === node) pod.alive = false;
  for (const lost of world.lost) if (lost.node === node) lost.alive = false;
  await sleep(downMs);
  await start(node);
  node.open = true;
}

/** Commands hang for a while, until an administrator ends them. The driver waits for one that changes something. */
async function hang({ site }: World, ms: number): Promise<void> {
  await site.set({ hang: ['mmclone'] });
  await sleep(ms);
  await site.set({ hang: [] });
  for (const pid of running(join(site.bin, 'mmclone'))) signal(pid, 'SIGKILL');
}

/**
 * No block is left for a while. Pods rest meanwhile, and no file system is mounted: one whose write fails is broken,
 * whatever the driver does.
 */
async function reallyFull({ nodes, site, volumes, lost }: World, ms: number): Promise<void> {
  const quiet = await Promise.all(nodes.map(emptied));
  const used = [...[...volumes].filter(({ pod }) => pod), ...lost];
  try {
    if (!quiet.every(Boolean) || used.some(({ kind }) => kind !== 'raw')) return;
    await site.fill();
    await sleep(ms);
  } finally {
    await site.empty();
    for (const node of nodes) node.open = true;
  }
}

/** The server runs for a while on a node where GPFS is not mounted: it must answer, and write nothing. */
async function unmounted(node: ChaosNode, ms: number): Promise<void> {
  if (!(await emptied(node))) return;
  await node.end('SIGTERM');
  await node.start({ without: true });
  await sleep(1_000 + ms);
  const written = node.belowTheMount();
  if (written.length > 0)
    throw new Broken(`${node.name} wrote ${written.join(', ')} where GPFS is not mounted`);
  await node.end('SIGTERM');
  await start(node);
  node.open = true;
}

/** Ends every fault that is under way. */
export async function heal(world: World): Promise<void> {
  await world.site.set({ latencyMs: 0, full: false, quota: false, daemon: 'active', hang: [] });
  await world.site.empty();
  for (const node of world.nodes) {
    node.wake();
    node.open = true;
    if (node.client === undefined) await start(node);
  }
}
