import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loopDevices } from '../../../src/simulator/disk/state/open-files.ts';
import { quantile, upTo } from '../measure.ts';
import type { Bench, Figure, Found } from '../part.ts';

const run = promisify(execFile);

const jobs = [
  { name: '4k random read, depth 1', rw: 'randread', bs: '4k', depth: 1 },
  { name: '4k random read, depth 32', rw: 'randread', bs: '4k', depth: 32 },
  { name: '4k random write, depth 1', rw: 'randwrite', bs: '4k', depth: 1 },
  { name: '4k random write, depth 32', rw: 'randwrite', bs: '4k', depth: 32 },
  { name: '1M read, depth 4', rw: 'read', bs: '1m', depth: 4 },
  { name: '1M write, depth 4', rw: 'write', bs: '1m', depth: 4 },
] as const;
type Job = (typeof jobs)[number];

const size = '256m';
const block = { block: {}, access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' } };

/** How fast a volume is compared with its own image file. One run measures both in turn, under the same conditions. */
export function data(bench: Bench): Promise<Found> {
  return bench.withServer('data', async (server) => {
    const { csi } = server;
    const id = await csi.create('data');
    await csi.publish(id, block);
    const path = await server.place('data/staging');
    await csi.stage(id, path, block);
    const image = await imageIn(server.root);
    const device = loopDevices().find(({ backing }) => backing === image)?.device;
    if (device === undefined) throw new Error(`no device holds ${image}`);
    await fio(device, { ...jobs[5], name: 'fill' }, ['--size', size]);
    const figures: Figure[] = [];
    for (const job of jobs) {
      bench.say(job.name);
      const pairs: Pair[] = [];
      for (const round of upTo(bench.quick ? 1 : 5))
        pairs.push(await pair(job, image, device, round % 2 === 0));
      figures.push(...figuresOf(job, pairs));
    }
    await csi.unstage(id, path);
    await csi.unpublish(id);
    await csi.remove(id);
    return { figures };
  });
}

const timed = ['--size', size, '--time_based', '--runtime', '2'];

interface Pair {
  readonly file: number;
  readonly volume: number;
  readonly ratio: number;
}

/** Each goes first in turn, because the second finds a warmer disk. */
async function pair(job: Job, image: string, device: string, imageFirst: boolean): Promise<Pair> {
  const early = imageFirst ? await fio(image, job, timed) : 0;
  const volume = await fio(device, job, timed);
  const file = imageFirst ? early : await fio(image, job, timed);
  return { file, volume, ratio: volume / file };
}

const figuresOf = (job: Job, pairs: readonly Pair[]): readonly Figure[] => {
  const median = (key: keyof Pair) =>
    quantile(
      pairs.map((pair) => pair[key]),
      0.5,
    );
  const goal = job.depth === 32 ? { above: 0.9 } : {};
  return [
    { what: `${job.name}: the file`, value: median('file'), unit: 'per second' },
    { what: `${job.name}: the volume`, value: median('volume'), unit: 'per second' },
    { what: `${job.name}: ratio`, value: median('ratio'), unit: '', ...goal },
  ];
};

/** Operations a second. */
async function fio(
  file: string,
  job: Job | (Omit<Job, 'name'> & { name: string }),
  more: readonly string[],
) {
  const { rw, bs, depth } = job;
  const how = ['--direct=1', '--ioengine=libaio', `--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`];
  const argv = ['--name=bench', `--filename=${file}`, ...how, ...more, '--output-format=json'];
  const { stdout } = await run('fio', argv, { maxBuffer: 16 * 1024 * 1024 });
  const { jobs: found } = JSON.parse(stdout) as {
    jobs: { read: { iops: number }; write: { iops: number } }[];
  };
  const [first] = found;
  return rw.endsWith('read') ? (first?.read.iops ?? 0) : (first?.write.iops ?? 0);
}

async function imageIn(root: string): Promise<string> {
  const [shard = ''] = await readdir(join(root, 'volumes'));
  const [name = ''] = await readdir(join(root, 'volumes', shard));
  return join(root, 'volumes', shard, name);
}
