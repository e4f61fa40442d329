import { execFile } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loopDevices } from '../../../src/simulator/disk/state/open-files.ts';
import { asMount } from '../csi.ts';
import { eachOf, quantile, timed, upTo } from '../measure.ts';
import type { Bench, Cost, Found } from '../part.ts';
import type { Server } from '../server.ts';

const run = promisify(execFile);
const ext4 = asMount('ext4');

/** A full node: 200 volumes at once, the processes of each call, and a kernel with a thousand other loop devices. */
export function many(bench: Bench): Promise<Found> {
  return bench.withServer(
    'many',
    async (server) => {
      const { csi } = server;
      const count = bench.quick ? 8 : 200;
      bench.say(`${count} volumes`);
      const volumes: Volume[] = [];
      for (const n of upTo(count)) {
        const id = await csi.create(`many-${n}`, { capability: ext4, bytes: 64n << 20n });
        await csi.publish(id, ext4);
        const path = await server.place(`many-${n}/staging`);
        volumes.push({ id, path, target: `${await server.place(`many-${n}/pod`)}/mount` });
      }
      const [first] = volumes;
      if (!first) return {};
      const costs = await costsOf(server, first);
      const before = await server.memory();
      const cycle = async () => [
        await timed('stage', 4, volumes, ({ id, path }) => csi.stage(id, path, ext4)),
        await timed('publish', 4, volumes, (each) =>
          csi.bind(each.id, each.path, each.target, ext4),
        ),
        await timed('unpublish', 4, volumes, ({ id, target }) => csi.unbind(id, target)),
        await timed('unstage', 4, volumes, ({ id, path }) => csi.unstage(id, path)),
      ];
      const cold = await cycle();
      const between = await server.memory();
      const warm = await cycle();
      const after = await server.memory();
      const figures = [
        { what: 'resident before', value: before.resident, unit: 'MiB' },
        { what: `resident after ${count} volumes`, value: between.resident, unit: 'MiB' },
        { what: `resident after ${count} more`, value: after.resident, unit: 'MiB' },
        {
          what: 'devices and mounts left',
          value: (await bench.ground.problems()).length,
          unit: '',
          below: 1,
        },
        ...stepFigures(server),
        ...(await crowded(bench, server, first)),
      ];
      await eachOf(4, volumes, async ({ id }) => {
        await csi.unpublish(id);
        await csi.remove(id);
      });
      return { timings: [...named(cold, 'new '), ...named(warm, 'formatted ')], costs, figures };
    },
    'debug',
  );
}

const named = <T extends { readonly what: string }>(all: readonly T[], prefix: string) =>
  all.map((each) => ({ ...each, what: `${prefix}${each.what}` }));

interface Volume {
  readonly id: string;
  readonly path: string;
  readonly target: string;
}

/** The processes that each call starts, for a formatted volume. */
async function costsOf(server: Server, { id, path, target }: Volume): Promise<readonly Cost[]> {
  const { csi } = server;
  await csi.stage(id, path, ext4);
  await csi.unstage(id, path);
  const costs: Cost[] = [];
  const calls = {
    stage: () => csi.stage(id, path, ext4),
    publish: () => csi.bind(id, path, target, ext4),
    unpublish: () => csi.unbind(id, target),
    unstage: () => csi.unstage(id, path),
  };
  for (const [what, call] of Object.entries(calls)) {
    const before = server.commands().length;
    await call();
    costs.push({ what: `node ${what}`, mm: [], others: server.commands().slice(before) });
  }
  return costs;
}

/** How long each command took, over all calls. */
const stepFigures = (server: Server) =>
  [...Map.groupBy(server.steps(), ({ name }) => name)].map(([name, all]) => ({
    what: `step ${name}, p50`,
    value: quantile(
      all.map(({ ms }) => ms),
      0.5,
    ),
    unit: 'ms',
  }));

/** The same stage beside a thousand other loop devices. */
async function crowded(bench: Bench, { csi }: Server, { id, path }: Volume) {
  const others = bench.quick ? 20 : 1_000;
  const rounds = upTo(bench.quick ? 2 : 15);
  const p50 = async (what: string) => {
    const { p50: found } = await timed(what, 1, rounds, async () => {
      await csi.stage(id, path, ext4);
      await csi.unstage(id, path);
    });
    return { what, value: found, unit: 'ms' };
  };
  const alone = await p50(`stage and unstage beside ${loopDevices().length} devices, p50`);
  bench.say(`${others} loop devices`);
  const folder = join(bench.ground.work, 'others');
  await mkdir(folder);
  const devices: string[] = [];
  try {
    for (const n of upTo(others)) {
      const file = join(folder, `${n}.img`);
      const handle = await open(file, 'w');
      await handle.truncate(1 << 20);
      await handle.close();
      const { stdout } = await run('losetup', ['-f', '--show', file]);
      devices.push(stdout.trim());
    }
    return [alone, await p50(`stage and unstage beside ${loopDevices().length} devices, p50`)];
  } finally {
    for (const device of devices) await run('losetup', ['-d', device]);
  }
}
