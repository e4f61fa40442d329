import { pathOf, valueAt } from '../../e2e/api.ts';
import type { Space } from '../../e2e/kube.ts';
import { claim, pod, snapshot, volumePath } from '../../e2e/objects.ts';
import { sleep } from '../../e2e/setup/wait.ts';
import { timing, upTo, type Timing } from '../measure.ts';
import type { Found } from '../part.ts';
import { clocked } from './clocked.ts';
import { memory } from './memory.ts';
import { requests } from './requests.ts';

/** What one part works with. */
export interface K8sBench {
  readonly space: Space;
  readonly quick: boolean;
}

/** One part of the benchmark, which can be run alone. */
export type K8sPart = (bench: K8sBench) => Promise<Found>;

const sizes = ['1Gi', '100Gi'] as const;
const isBound = (each: unknown): boolean => valueAt(each, '.status.phase') === 'Bound';
const isRunning = (each: unknown): boolean => valueAt(each, '.status.phase') === 'Running';
const isReady = (each: unknown): boolean => valueAt(each, '.status.readyToUse') === 'true';

/** Memory and requests while nothing happens. */
export const idle: K8sPart = async ({ quick }) => {
  const seconds = quick ? 15 : 60;
  const from = Date.now();
  await sleep(seconds * 1000);
  return {
    figures: [...(await memory('idle', 75)), ...(await requests(from, Date.now()))],
  };
};

/** Claims made at once. */
export const claims: K8sPart = async ({ space, quick }) => {
  const names = upTo(quick ? 10 : 100).map((n) => `claim-${n}`);
  const { samples, wallMs } = await clocked(pathOf('pvc', space.name), names, isBound, () =>
    space.apply(...names.map((name) => claim(name))),
  );
  const timings = [timing('claim bound, all at once', names.length, samples, wallMs)];
  await space.remove('pvc', '--all');
  return { timings, figures: await memory(`after ${names.length} claims`) };
};

/** Pods that start with a volume of each kind and size. */
export const pods: K8sPart = async (bench) => {
  const timings: Timing[] = [];
  for (const size of sizes) timings.push(...(await podsOfSize(bench, size)));
  return { timings };
};

type From = NonNullable<Parameters<typeof claim>[1]>['from'];

async function podsOfSize({ space, quick }: K8sBench, size: string): Promise<readonly Timing[]> {
  const base = `base-${size.toLowerCase()}`;
  const written = `dd if=/dev/urandom of=${volumePath}/file bs=1M count=64 && sync`;
  await space.apply(claim(base, { size }), pod(base, { claim: base }));
  await space.reaches(`pod/${base}`, '.status.phase', 'Running');
  await space.exec(base, written);
  await space.apply(snapshot(base, base));
  await space.reaches(`volumesnapshot/${base}`, '.status.readyToUse', 'true');
  const kinds: Readonly<Record<string, From>> = {
    new: undefined,
    restored: { kind: 'VolumeSnapshot', name: base },
    cloned: { kind: 'PersistentVolumeClaim', name: base },
  };
  const timings: Timing[] = [];
  for (const [kind, from] of Object.entries(kinds)) {
    const start = performance.now();
    const samples: number[] = [];
    for (const n of upTo(quick ? 1 : 5)) {
      const name = `${kind}-${size.toLowerCase()}-${n}`;
      const found = await clocked(pathOf('pod', space.name), [name], isRunning, () =>
        space.apply(
          claim(name, { size, ...(from === undefined ? {} : { from }) }),
          pod(name, { claim: name }),
        ),
      );
      samples.push(...found.samples);
      await space.remove(`pod/${name}`, `pvc/${name}`);
    }
    const wallMs = performance.now() - start;
    timings.push(timing(`pod runs, ${kind} claim of ${size}`, 1, samples, wallMs));
  }
  await space.remove(`volumesnapshot/${base}`, `pod/${base}`, `pvc/${base}`);
  return timings;
}

/** Snapshots of a volume that a pod has mounted. */
export const snapshots: K8sPart = async ({ space, quick }) => {
  const timings: Timing[] = [];
  for (const size of sizes) {
    const base = `snapped-${size.toLowerCase()}`;
    await space.apply(claim(base, { size }), pod(base, { claim: base }));
    await space.reaches(`pod/${base}`, '.status.phase', 'Running');
    const start = performance.now();
    const samples: number[] = [];
    for (const n of upTo(quick ? 1 : 10)) {
      const name = `${base}-${n}`;
      const path = pathOf('volumesnapshot', space.name);
      const make = (): Promise<void> => space.apply(snapshot(name, base));
      samples.push(...(await clocked(path, [name], isReady, make)).samples);
    }
    timings.push(timing(`snapshot ready, ${size}`, 1, samples, performance.now() - start));
    await space.remove('volumesnapshots', '--all');
    await space.remove(`pod/${base}`, `pvc/${base}`);
  }
  return { timings };
};

/** Memory once all of that is over. */
export const after: K8sPart = async ({ quick }) => {
  await sleep(quick ? 5_000 : 30_000);
  return { figures: await memory('half a minute after all of it') };
};
