import { equal } from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Case } from '../case.ts';
import { kubectl } from '../kube.ts';
import type { Space } from '../kube.ts';
import { claim, pod, volumePath } from '../objects.ts';
import { checkout } from '../setup/places.ts';
import { until } from '../setup/wait.ts';

const folder = join(checkout, 'deploy', 'examples');

/** Each file of deploy/examples does what a reader expects of it. */
export const exampleCases: readonly Case[] = [
  {
    id: 'examples',
    says: 'each example of deploy/examples is accepted, its claims are bound and its pods run',
    run: async (space) => {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).toSorted();
      if (files.length === 0) throw new Error(`there are no examples in ${folder}`);
      // In the order of their names: a restore comes after the snapshot that it is made from.
      for (const name of files) await settle(space, name);
    },
  },
  {
    id: 'static',
    says: 'a volume that was kept is bound by hand, as in deploy/examples/static, with its data',
    run: async (space) => {
      await space.apply(claim('old'), pod('writer', { claim: 'old' }));
      await space.reaches('pod/writer', '.status.phase', 'Running');
      await space.exec('writer', `echo kept > ${volumePath}/file && sync`);
      await space.remove('pod/writer');
      const handle = await giveUp(space, 'old');
      const text = await readFile(join(folder, 'static', 'volume.yaml'), 'utf8');
      const filled = text
        .replaceAll('VOLUME-HANDLE', handle)
        .replaceAll('namespace: default', `namespace: ${space.name}`);
      await kubectl(['apply', '-f', '-'], { input: filled });
      await space.apply(pod('reader', { claim: 'static' }));
      await space.reaches('pod/reader', '.status.phase', 'Running');
      equal(await space.exec('reader', `cat ${volumePath}/file`), 'kept\n');
      // From here on the provisioner deletes the volume with its claim, as it does with its own.
      await kubectl(['annotate', 'pv', 'static', `${provisionedBy}=${await driverOf('static')}`]);
      await reclaim('static', 'Delete');
    },
  },
];

const provisionedBy = 'pv.kubernetes.io/provisioned-by';

const reclaim = (volume: string, policy: 'Delete' | 'Retain'): Promise<string> => {
  const change = JSON.stringify({ spec: { persistentVolumeReclaimPolicy: policy } });
  return kubectl(['patch', 'pv', volume, '-p', change]);
};

const driverOf = (volume: string): Promise<string> =>
  kubectl(['get', 'pv', volume, '-o', 'jsonpath={.spec.csi.driver}']);

/** Deletes a claim and its PersistentVolume, keeps the volume, and resolves to its handle. */
async function giveUp(space: Space, name: string): Promise<string> {
  const volume = await space.get(`pvc/${name}`, '.spec.volumeName');
  const path = 'jsonpath={.spec.csi.volumeHandle}';
  const handle = await kubectl(['get', 'pv', volume, '-o', path]);
  await reclaim(volume, 'Retain');
  await space.remove(`pvc/${name}`);
  await kubectl(['delete', 'pv', volume, '--timeout=60s']);
  return handle;
}

const storage = z.object({ storage: z.string().optional() });

const objects = z.object({
  items: z.array(
    z.object({
      kind: z.string(),
      metadata: z.object({ name: z.string() }),
      spec: z.looseObject({ resources: z.object({ requests: storage }).optional() }),
      status: z
        .object({
          phase: z.string().optional(),
          readyToUse: z.boolean().optional(),
          capacity: storage.optional(),
        })
        .optional(),
    }),
  ),
});

async function settle(space: Space, name: string): Promise<void> {
  await space.kubectl(['apply', '-f', join(folder, name)]);
  let waiting: readonly string[] = [];
  await until(`all of ${name} is there`, 120_000, async () => {
    const kinds = 'pods,pvc,volumesnapshots';
    const { items } = objects.parse(JSON.parse(await space.kubectl(['get', kinds, '-o', 'json'])));
    waiting = items.filter(isWaiting).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    return waiting.length === 0;
  }).catch((error: unknown) => {
    throw new Error(`${name} still waits for ${waiting.join(', ')}`, { cause: error });
  });
}

type Item = z.infer<typeof objects>['items'][number];

const isSettled: Readonly<Record<string, (item: Item) => boolean>> = {
  Pod: ({ status }) => ['Running', 'Succeeded'].includes(status?.phase ?? ''),
  VolumeSnapshot: ({ status }) => status?.readyToUse === true,
  PersistentVolumeClaim: ({ spec, status }) =>
    status?.phase === 'Bound' && status.capacity?.storage === spec.resources?.requests.storage,
};

const isWaiting = (item: Item): boolean => isSettled[item.kind]?.(item) !== true;
