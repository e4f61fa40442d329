import type { Csi } from '../csi.ts';
import { timed, upTo, type Timing } from '../measure.ts';
import { memoryFigures, type Bench, type Found } from '../part.ts';

const twoGiB = 2n << 30n;

/** The controller's calls with one and with eight callers, each on a volume of its own. */
export function rpc(bench: Bench): Promise<Found> {
  return bench.withServer('rpc', async (server) => {
    const { csi } = server;
    const n = bench.quick ? 10 : 100;
    await round(bench, csi, 8, 10, 'warm');
    const before = await memoryFigures(server, 'before the calls');
    const timings = [
      ...(await round(bench, csi, 1, n, 'one')),
      ...(await round(bench, csi, 8, n, 'eight')),
    ];
    return { timings, figures: [...before, ...(await memoryFigures(server, 'after all calls'))] };
  });
}

/** Everything once, from creation to deletion; what runs a command `n` times, the rest thrice that. */
async function round(
  bench: Bench,
  csi: Csi,
  callers: number,
  n: number,
  name: string,
): Promise<readonly Timing[]> {
  bench.say(`calls with ${callers} at once`);
  const volumes: string[] = [];
  const create = await timed('create', callers, upTo(3 * n), async (i) => {
    volumes[i] = await csi.create(`${name}-${i}`);
  });
  const [cut, cloned] = [volumes.slice(0, n), volumes.slice(n, 2 * n)];
  const plain = [
    create,
    await timed('get', callers, volumes, csi.get),
    await timed('publish (attach)', callers, volumes, (id) => csi.publish(id)),
    await timed('unpublish (detach)', callers, volumes, csi.unpublish),
    await timed('expand', callers, volumes, (id) => csi.expand(id, twoGiB)),
  ];
  const copies = await copying(csi, callers, name, cut, cloned);
  const list = await timed('list a few hundred', callers, upTo(2 * n), () => csi.list());
  const { snapshots, made } = copies;
  return [
    ...plain,
    ...copies.timings,
    list,
    await timed('delete snapshot with clones', callers, snapshots, csi.removeSnapshot),
    await timed('delete volume', callers, [...volumes, ...made], csi.remove),
  ];
}

async function copying(
  csi: Csi,
  callers: number,
  name: string,
  cut: readonly string[],
  cloned: readonly string[],
) {
  const snapshots: string[] = [];
  const made: string[] = [];
  const snapshot = await timed('snapshot', callers, [...cut.entries()], async ([i, id]) => {
    snapshots[i] = await csi.snapshot(`${name}-s${i}`, id);
  });
  const restore = await timed('restore', callers, [...snapshots.entries()], async ([i, id]) => {
    made.push(await csi.create(`${name}-r${i}`, { snapshot: id, bytes: twoGiB }));
  });
  const clone = (what: string, mark: string) =>
    timed(what, callers, [...cloned.entries()], async ([i, id]) => {
      made.push(await csi.create(`${name}-${mark}${i}`, { volume: id, bytes: twoGiB }));
    });
  const clones = [await clone('clone', 'c'), await clone('clone, parent reused', 'd')];
  return { snapshots, made, timings: [snapshot, restore, ...clones] };
}
