import { randomUUID } from 'node:crypto';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { GiB } from '../../../src/model/bytes.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { randomNonce, systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { defaultCompaction } from '../../../src/service/compaction/worker.ts';
import { driverOf, type Driver } from '../../../src/service/driver.ts';
import type { Csi } from '../csi.ts';
import { timed, timing, upTo, type Timing } from '../measure.ts';
import { memoryFigures, type Bench, type Found } from '../part.ts';

/** Thousands of volumes, listed page by page. */
export function list(bench: Bench): Promise<Found> {
  return bench.withServer('list', async (server) => {
    const { csi, root } = server;
    const n = bench.quick ? 2_000 : 10_000;
    bench.say(`${n} volumes, made in this process`);
    const driver = driverOn(bench, root);
    const create = await timed('create in process', 16, upTo(n), async (i) => {
      bench.signal.throwIfAborted();
      await driver.volumes.create(plain(`pvc-${randomUUID()}-${i}`));
    });
    bench.say(`${n} volumes, listed`);
    await walk(csi, n);
    const before = await memoryFigures(server, `after a list of ${n} volumes`);
    const rounds = bench.quick ? 1 : 10;
    const one = await pages(csi, 1, rounds, n);
    const eight = await pages(csi, 8, 2 * rounds, n);
    const after = await memoryFigures(server, `after ${3 * rounds + 1} such lists`);
    const rate = { what: 'volumes created in process, 16 at once', value: create.perSecond };
    const goal = { what: `page of 1,000 of ${n}, p50`, value: one.p50, unit: 'ms', below: 150 };
    return {
      timings: [
        create,
        one,
        eight,
        ...(await besideOthers(csi, n)),
        ...(await overDeleted(bench, driver, csi, n)),
      ],
      figures: [{ ...rate, unit: 'per second' }, goal, ...before, ...after],
    };
  });
}

async function pages(csi: Csi, callers: number, lists: number, n: number): Promise<Timing> {
  const samples: number[] = [];
  const began = performance.now();
  await timed('', callers, upTo(lists), async () => {
    samples.push(...(await walk(csi, n)));
  });
  return timing('list, page of 1,000', callers, samples, performance.now() - began);
}

/** Every page of one list; how long each took. */
async function walk(csi: Csi, expected: number): Promise<readonly number[]> {
  const samples: number[] = [];
  let seen = 0;
  let token = '';
  do {
    const start = performance.now();
    const page = await csi.list(token);
    samples.push(performance.now() - start);
    seen += page.entries;
    token = page.next;
  } while (token !== '');
  if (seen !== expected) throw new Error(`${seen} volumes were listed instead of ${expected}`);
  return samples;
}

/** How many deleted records there are in a cluster where claims come and go. */
const manyDeleted = 2048;

/** What lists cost beside volumes that were deleted in the last day: the first list reads their records, others do not. */
async function overDeleted(
  bench: Bench,
  driver: Driver,
  csi: Csi,
  n: number,
): Promise<readonly Timing[]> {
  bench.say(`${manyDeleted} more volumes, made and deleted in this process`);
  const whole = await timed(`lists of ${n}`, 1, upTo(10), () => walk(csi, n));
  await timed('', 16, upTo(manyDeleted), async (i) => {
    bench.signal.throwIfAborted();
    const { id } = await driver.volumes.create(plain(`pvc-${randomUUID()}-gone-${i}`));
    await driver.volumes.remove(id);
  });
  const beside = `beside ${manyDeleted} deleted ones`;
  return [
    whole,
    await timed(`first list ${beside}`, 1, upTo(1), () => walk(csi, n)),
    await timed(`lists ${beside}`, 1, upTo(10), () => walk(csi, n)),
    await timed(`lists ${beside}`, 20, upTo(20), () => walk(csi, n)),
  ];
}

/** How much another caller that lists all the time slows a caller down. */
async function besideOthers(csi: Csi, n: number): Promise<readonly Timing[]> {
  let ended = false;
  const lister = async (): Promise<void> => {
    while (!ended) await walk(csi, n);
  };
  const listing = lister();
  try {
    return [await timed('Probe beside one that lists', 1, upTo(200), csi.probe)];
  } finally {
    ended = true;
    await listing;
  }
}

const plain = (name: string) => ({
  name,
  range: { requiredBytes: GiB, limitBytes: 0n },
  capabilities: [{ access: { kind: 'block' }, mode: 'SINGLE_NODE_SINGLE_WRITER' }] as const,
  parameters: new Map<string, string>(),
  mutable: new Map(),
  source: undefined,
});

function driverOn({ ground }: Bench, root: string): Driver {
  return driverOf({
    gpfs: gpfsCommands(hostRun({ mmDirectory: ground.simulator.bin })),
    files: hostFiles(),
    mounts: hostMounts(),
    clock: systemClock,
    nonce: randomNonce,
    log: silentLog,
    self: {
      node: 'filler',
      machineId: 'filler',
      bootId: 'boot',
      instance: randomUUID(),
      version: '0.0.0',
      maxVolumes: 1,
    },
    roots: [root],
    mountType: 'xfs',
    pool: undefined,
    owner: '',
    compaction: defaultCompaction,
  });
}
