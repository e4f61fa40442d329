import { deepEqual, equal, ok } from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Case } from '../case.ts';
import { kubectl, type Space } from '../kube.ts';
import { claim, pod, volumePath } from '../objects.ts';
import { checkout } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';

const folder = join(checkout, 'deploy', 'examples');

/** A file of deploy/examples, after those that it stands on, and what a reader expects of it. */
interface Example {
  readonly file: string;
  readonly after: readonly string[];
  readonly says: string;
  readonly holds: (space: Space) => Promise<void>;
}

const claimAndPod = ['01-claim.yaml', '02-pod.yaml'] as const;

const examples: readonly Example[] = [
  {
    file: '01-claim.yaml',
    after: [],
    says: 'a volume of 1 GiB',
    holds: async (space) => {
      equal(await space.get('pvc/data', '.status.capacity.storage'), '1Gi');
    },
  },
  {
    file: '02-pod.yaml',
    after: ['01-claim.yaml'],
    says: 'a pod, not as root, that writes into it',
    holds: (space) => has(space, 'writer', 'cat /data/greeting', 'hello\n'),
  },
  {
    file: '03-snapshot.yaml',
    after: claimAndPod,
    says: 'a snapshot while the pod uses the volume',
    holds: async (space) => {
      equal(await space.get('volumesnapshot/data-1', '.status.restoreSize'), '1Gi');
    },
  },
  {
    file: '04-restore.yaml',
    after: [...claimAndPod, '03-snapshot.yaml'],
    says: 'a volume from the snapshot, with what was there then',
    holds: (space) => has(space, 'restored', 'cat /data/greeting', 'hello\n'),
  },
  {
    file: '05-clone.yaml',
    after: claimAndPod,
    says: 'a volume from the volume, with what is in it',
    holds: (space) => has(space, 'cloned', 'cat /data/greeting', 'hello\n'),
  },
  {
    file: '06-raw-block.yaml',
    after: [],
    says: 'a raw block device that keeps what is written',
    holds: (space) => has(space, 'disk', 'head -c 6 /dev/disk', 'hello\n'),
  },
  {
    file: '07-shared-block.yaml',
    after: [],
    says: 'a raw block device that pods on both nodes see',
    holds: async (space) => {
      const places = await Promise.all(
        ['a', 'b'].map((each) => space.get(`pod/shared-${each}`, '.spec.nodeName')),
      );
      equal(new Set(places).size, 2);
      const read = 'dd if=/dev/disk bs=4096 count=1 iflag=direct 2>/dev/null | head -c 6';
      await has(space, 'shared-b', read, 'hello\n');
    },
  },
  {
    file: '08-expansion.yaml',
    after: claimAndPod,
    says: 'a larger claim, whose file system grows under the pod',
    holds: async (space) => {
      const out = await space.exec('writer', 'df -k /data | tail -1');
      const kibibytes = Number(out.trim().split(/\s+/)[1]);
      ok(kibibytes > 1.8 * 2 ** 20, `the file system has ${kibibytes} KiB`);
    },
  },
];

/** Waits until a command in a pod prints this: the example's own pod may still be writing. */
async function has(space: Space, pod: string, script: string, wanted: string): Promise<void> {
  await until(`${script} in ${pod} prints ${JSON.stringify(wanted)}`, patienceMs, async () => {
    return (await space.exec(pod, script)) === wanted;
  });
}

/** Each file of deploy/examples does what a reader expects of it. */
export const exampleCases: readonly Case[] = [
  ...examples.map(({ file, after, says, holds }) => ({
    id: `example-${file.replaceAll(/^\d+-|\.yaml$/g, '')}`,
    says: `deploy/examples/${file}: ${says}`,
    run: async (space: Space) => {
      for (const each of [...after, file]) {
        await settle(space, each);
        if (each === '02-pod.yaml') await has(space, 'writer', 'cat /data/greeting', 'hello\n');
      }
      await holds(space);
    },
  })),
  {
    id: 'examples-all',
    says: 'deploy/examples has no file without a case of its own',
    run: async () => {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).toSorted();
      deepEqual(
        files,
        examples.map(({ file }) => file),
      );
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
  await kubectl(['delete', 'pv', volume, `--timeout=${patienceMs / 1000}s`]);
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
  await until(`all of ${name} is there`, patienceMs, async () => {
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
