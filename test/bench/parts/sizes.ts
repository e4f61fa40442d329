import { open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { GiB, MiB, showBytes, TiB, type Bytes } from '../../../src/model/bytes.ts';
import type { Csi } from '../csi.ts';
import { quantile, timing, upTo } from '../measure.ts';
import type { Bench, Figure, Found } from '../part.ts';

const sizes = [GiB, 100n * GiB, TiB] as const;
const operations = ['snapshot', 'restore', 'clone'] as const;
type Operation = (typeof operations)[number];

/** Snapshot, restore and clone of volumes that differ in nothing but their size. */
export function size(bench: Bench): Promise<Found> {
  return bench.withServer('size', async ({ csi, root }) => {
    bench.say('volumes of three sizes, 1 GiB of data in each');
    const volumes = await Promise.all(
      sizes.map(async (bytes, i) => ({ bytes, id: await csi.create(`v${i}`, { bytes }) })),
    );
    for (const [i, { bytes }] of volumes.entries()) await fill(root, `v${i}.`, bytes);
    const samples = new Map<string, number[]>();
    for (const round of upTo(bench.quick ? 2 : 15)) {
      // The order rotates, so that no size always has the quieter time.
      for (const i of upTo(3)) {
        const volume = volumes[(round + i) % 3];
        if (volume) await one(csi, volume, `${round}`, samples);
      }
    }
    return summary(samples);
  });
}

async function one(
  csi: Csi,
  { id, bytes }: { readonly id: string; readonly bytes: Bytes },
  round: string,
  samples: Map<string, number[]>,
): Promise<void> {
  const note = async (what: Operation, work: Promise<string>): Promise<string> => {
    const start = performance.now();
    const made = await work;
    const key = keyOf(what, bytes);
    samples.set(key, [...(samples.get(key) ?? []), performance.now() - start]);
    return made;
  };
  const name = `${bytes}-${round}`;
  const snapshot = await note('snapshot', csi.snapshot(`${name}-s`, id));
  const restored = await note('restore', csi.create(`${name}-r`, { snapshot, bytes }));
  // A volume that was attached may have changed: its clone cannot use the snapshot's file as its parent.
  await csi.publish(id);
  await csi.unpublish(id);
  const clone = await note('clone', csi.create(`${name}-c`, { volume: id, bytes }));
  await csi.remove(restored);
  await csi.remove(clone);
  await csi.removeSnapshot(snapshot);
}

const keyOf = (what: Operation, bytes: Bytes): string => `${what} ${showBytes(bytes)}`;

function summary(samples: ReadonlyMap<string, readonly number[]>): Found {
  const of = (what: Operation, bytes: Bytes) => samples.get(keyOf(what, bytes)) ?? [];
  const timings = operations.flatMap((what) =>
    sizes.map((bytes) => {
      const ms = of(what, bytes);
      return timing(keyOf(what, bytes), 1, ms, sum(ms));
    }),
  );
  const figures = operations.map((what): Figure => ({
    what: `${what}: median of 1 TiB to that of 1 GiB`,
    value: quantile(of(what, TiB), 0.5) / quantile(of(what, GiB), 0.5),
    unit: 'times',
    below: 1.2,
  }));
  return { timings, figures };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

const pieces = 16n;

/** Writes 1 GiB into an image, in pieces spread over all of it. */
async function fill(root: string, prefix: string, bytes: Bytes): Promise<void> {
  const images = join(root, 'volumes');
  const names = await readdir(images, { recursive: true });
  const found = names.find((each) => basename(each).startsWith(prefix));
  if (found === undefined) throw new Error(`no image ${prefix} in ${images}`);
  const chunk = Buffer.alloc(Number(MiB), 'data');
  const handle = await open(join(images, found), 'r+');
  try {
    for (let piece = 0n; piece < pieces; piece += 1n) {
      const start = (bytes / pieces) * piece;
      for (let at = 0n; at < GiB / pieces; at += MiB)
        await handle.write(chunk, 0, chunk.length, Number(start + at));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
