import { hostRun } from '../../../src/run/host-run.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';
import { asMount } from '../csi.ts';
import { eachOf, upTo } from '../measure.ts';
import type { Bench, Figure, Found } from '../part.ts';
import type { Server } from '../server.ts';

const run = hostRun({ mmDirectory: '/nonexistent' });

/** Clones of one mounted volume that are asked for at once: how long until the last one is ready. */
export async function crowd(bench: Bench): Promise<Found> {
  const figures: Figure[] = [];
  for (const latencyMs of [0, 300]) {
    bench.say(`clones at once, ${latencyMs} ms a command`);
    const name = `crowd-${latencyMs}`;
    figures.push(...(await bench.withServer(name, (server) => clones(bench, server, latencyMs))));
  }
  return { figures };
}

async function clones(
  { ground, quick }: Bench,
  server: Server,
  latencyMs: number,
): Promise<readonly Figure[]> {
  const { csi, place } = server;
  const capability = asMount('ext4');
  const id = await csi.create('source', { capability });
  await csi.publish(id, capability);
  const path = await place('staging');
  await csi.stage(id, path, capability);
  const slow = (ms: number) =>
    simulateUp({ run, dir: ground.simulator.dir, personality: { latencyMs: ms } });
  const count = quick ? 4 : 20;
  const clone = (name: string) => csi.create(name, { volume: id, capability });
  try {
    await slow(latencyMs);
    const one = await seconds(() => clone('alone'));
    const all = await seconds(() => eachOf(count, upTo(count), (n) => clone(`clone-${n}`)));
    const below = latencyMs === 0 ? 10 : count * one;
    const at = `with ${latencyMs} ms a command`;
    return [
      { what: `one clone of a mounted volume, ${at}`, value: one, unit: 's' },
      { what: `${count} such clones at once, ${at}`, value: all, unit: 's', below },
    ];
  } finally {
    await slow(0);
    await csi.unstage(id, path);
  }
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
