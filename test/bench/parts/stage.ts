import { asMount } from '../csi.ts';
import { eachOf, timing, upTo } from '../measure.ts';
import type { Timing } from '../measure.ts';
import type { Bench, Found } from '../part.ts';
import type { Server } from '../server.ts';

/** The node's calls on volumes that are formatted and attached. */
export function stage(bench: Bench): Promise<Found> {
  return bench.withServer('stage', async (server) => {
    const timings: Timing[] = [];
    for (const fsType of ['ext4', 'xfs']) {
      bench.say(`stage and publish ${fsType}`);
      const volumes = await formatted(server, fsType);
      const [first] = volumes;
      const few = bench.quick ? 2 : 12;
      timings.push(...(await cycles(server, fsType, first ? [first] : [], 5 * few)));
      timings.push(...(await cycles(server, fsType, volumes, few)));
      await eachOf(1, volumes, async ({ id }) => {
        await server.csi.unpublish(id);
        await server.csi.remove(id);
      });
    }
    return { timings };
  });
}

interface Volume {
  readonly id: string;
  readonly path: string;
  readonly target: string;
}

async function formatted(server: Server, fsType: string): Promise<readonly Volume[]> {
  const { csi, place } = server;
  const volumes: Volume[] = [];
  for (const i of upTo(8)) {
    const capability = asMount(fsType);
    const id = await csi.create(`${fsType}-${i}`, { capability, bytes: 1n << 30n });
    await csi.publish(id, capability);
    const path = await place(`${fsType}-${i}/staging`);
    await csi.stage(id, path, capability);
    await csi.unstage(id, path);
    volumes.push({ id, path, target: `${await place(`${fsType}-${i}/pod`)}/mount` });
  }
  return volumes;
}

/** One caller for each volume, through all four calls so many times. */
async function cycles(
  { csi }: Server,
  fsType: string,
  volumes: readonly Volume[],
  rounds: number,
): Promise<readonly Timing[]> {
  const capability = asMount(fsType);
  const calls = {
    stage: ({ id, path }: Volume) => csi.stage(id, path, capability),
    publish: ({ id, path, target }: Volume) => csi.bind(id, path, target, capability),
    unpublish: ({ id, target }: Volume) => csi.unbind(id, target),
    unstage: ({ id, path }: Volume) => csi.unstage(id, path),
  };
  const samples = Object.entries(calls).map(([name, call]) => ({ name, call, ms: [] as number[] }));
  const began = performance.now();
  await eachOf(volumes.length, volumes, async (volume) => {
    for (let round = 0; round < rounds; round += 1)
      for (const { call, ms } of samples) {
        const start = performance.now();
        await call(volume);
        ms.push(performance.now() - start);
      }
  });
  const wallMs = performance.now() - began;
  return samples.map(({ name, ms }) =>
    timing(`node ${name} ${fsType}`, volumes.length, ms, wallMs),
  );
}
