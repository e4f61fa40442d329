import { match } from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { attributesOf } from '../gpfs.ts';
import { kubectl } from '../kube.ts';
import { claim, pod } from '../objects.ts';
import { checkout, rootFolder } from '../setup/places.ts';
import { patienceMs } from '../setup/wait.ts';

const example = join(checkout, 'deploy', 'examples', 'attributes', 'class.yaml');

/** Where the image file of a volume lies, by the handle that Kubernetes has. */
async function imageOf(handle: string): Promise<string> {
  const local = handle.slice(handle.indexOf('.') + 1);
  const volumes = join(rootFolder, 'volumes');
  const files = await readdir(volumes, { recursive: true });
  const found = files.find((file) => file.includes(`/${local}.`));
  if (found === undefined) throw new Error(`volume ${handle} has no image below ${volumes}`);
  return join(volumes, found);
}

/** A volume changes its class of attributes while a pod uses it. */
export const attributesCases: readonly Case[] = [
  {
    id: 'example-attributes',
    says: 'deploy/examples/attributes/class.yaml: a claim in use is moved to another pool and copied twice',
    run: async (space) => {
      // The class belongs to no namespace, and the simulated file system has no pool called nvme.
      const name = `fast-${space.name}`;
      const text = (await readFile(example, 'utf8'))
        .replaceAll('name: fast', `name: ${name}`)
        .replaceAll('pool: nvme', 'pool: data');
      await kubectl(['apply', '-f', '-'], { input: text });
      try {
        await space.apply(claim('data'), pod('user', { claim: 'data' }));
        await space.reaches('pod/user', '.status.phase', 'Running');
        const change = JSON.stringify({ spec: { volumeAttributesClassName: name } });
        await space.kubectl(['patch', 'pvc', 'data', '--type', 'merge', '-p', change]);
        await space.reaches('pvc/data', '.status.currentVolumeAttributesClassName', name);
        const volume = await space.get('pvc/data', '.spec.volumeName');
        const path = 'jsonpath={.spec.csi.volumeHandle}';
        const image = await imageOf(await kubectl(['get', 'pv', volume, '-o', path]));
        const attributes = await attributesOf(image);
        match(attributes, /storage pool name: +data$/m);
        match(attributes, /data replication: +2 max/m);
        await space.remove('pod/user', 'pvc/data');
      } finally {
        const limit = `--timeout=${patienceMs / 1000}s`;
        await kubectl(['delete', 'volumeattributesclass', name, '--ignore-not-found', limit]);
      }
    },
  },
];
