import { asMount } from '../csi.ts';
import { eachOf, quantile, timing, upTo, type Timing } from '../measure.ts';
import type { Bench, Figure, Found } from '../part.ts';
import type { Server, Step } from '../server.ts';

/** The node's calls on volumes that are formatted and attached, and what a stage takes beyond its mount(8). */
export function stage(bench: Bench): Promise<Found> {
  const use = async (server: Server): Promise<Found> => {
    const all: Cycles[] = [];
    for (const fsType of ['ext4', 'xfs']) {
      bench.say(`stage and publish ${fsType}`);
      const volumes = await formatted(server, fsType);
      const [first] = volumes;
      const few = bench.quick ? 2 : 12;
      all.push(await cycles(server, fsType, first ? [first] : [], 5 * few));
      all.push(await cycles(server, fsType, volumes, few));
      await eachOf(1, volumes, async ({ id }) => {
        await server.csi.unpublish(id);
        await server.csi.remove(id);
      });
    }
    return {
      timings: all.flatMap(({ timings }) => timings),
      figures: all.flatMap(({ beyond }) => beyond),
    };
  };
  // Only at this level the log has the time of a mount.
  return bench.withServer('stage', use, 'debug');
}

interface Cycles {
  readonly timings: readonly Timing[];
  readonly beyond: readonly Figure[];
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

/** One caller for each volume, which makes all four calls this many times. */
async function cycles(
  server: Server,
  fsType: string,
  volumes: readonly Volume[],
  rounds: number,
): Promise<Cycles> {
  const { csi } = server;
  const capability = asMount(fsType);
  const calls = {
    stage: ({ id, path }: Volume) => csi.stage(id, path, capability),
    publish: ({ id, path, target }: Volume) => csi.bind(id, path, target, capability),
    unpublish: ({ id, target }: Volume) => csi.unbind(id, target),
    unstage: ({ id, path }: Volume) => csi.unstage(id, path),
  };
  const samples = Object.entries(calls).map(([name, call]) => ({
    name,
    call,
    taken: [] as Taken[],
  }));
  const before = server.steps().length;
  const began = performance.now();
  await eachOf(volumes.length, volumes, async (volume) => {
    for (let round = 0; round < rounds; round += 1)
      for (const { call, taken } of samples) {
        const start = performance.now();
        await call(volume);
        taken.push({ path: volume.path, ms: performance.now() - start });
      }
  });
  const wallMs = performance.now() - began;
  const callers = volumes.length;
  const staged = samples.find(({ name }) => name === 'stage')?.taken ?? [];
  return {
    timings: samples.map(({ name, taken }) =>
      timing(`node ${name} ${fsType}`, callers, msOf(taken), wallMs),
    ),
    beyond: beyondMount(`${fsType}, callers ${callers}`, staged, server.steps().slice(before)),
  };
}

/** How long a call for a volume took. */
interface Taken {
  readonly path: string;
  readonly ms: number;
}

const msOf = (taken: readonly Taken[]): readonly number[] => taken.map(({ ms }) => ms);

/** The time of each stage without its mount(8). For each path, the n-th mount belongs to the n-th stage. */
function beyondMount(
  what: string,
  stages: readonly Taken[],
  steps: readonly Step[],
): readonly Figure[] {
  const mounts = Map.groupBy(
    steps.filter(({ name, argv }) => name === 'mount' && argv.includes('-t')),
    ({ argv }) => argv.at(-1) ?? '',
  );
  const next = new Map([...mounts].map(([path, all]) => [path, all.values()]));
  const pairs = stages.map(({ path, ms }) => {
    const mount = next.get(path)?.next().value;
    if (!mount) throw new Error(`the log has no mount for a stage at ${path}`);
    return { mount: mount.ms, beyond: ms - mount.ms };
  });
  const beyond = pairs.map((pair) => pair.beyond);
  return [
    {
      what: `mount(8) in a stage, ${what}, p50`,
      value: quantile(
        pairs.map(({ mount }) => mount),
        0.5,
      ),
      unit: 'ms',
    },
    {
      what: `stage beyond mount(8), ${what}, p50`,
      value: quantile(beyond, 0.5),
      unit: 'ms',
      below: 150,
    },
    { what: `stage beyond mount(8), ${what}, p99`, value: quantile(beyond, 0.99), unit: 'ms' },
  ];
}
