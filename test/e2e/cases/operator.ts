import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { nodes } from '../cluster/node.ts';
import { clusterEnv, type Space } from '../kube.ts';
import { claim, pod } from '../objects.ts';
import { checkout, rootFolder } from '../setup/places.ts';
import { sh } from '../setup/shell.ts';
import { patienceMs } from '../setup/wait.ts';

const [first] = nodes;

/** Runs the plugin of this checkout as kubectl would, on the laptop of the administrator. */
const gpfs = (args: readonly string[]): Promise<string> =>
  sh([process.execPath, join(checkout, 'src/cli/kubectl/main.ts'), ...args], {
    limitMs: 2 * patienceMs,
    env: clusterEnv(),
  });

/** What a person who runs the driver asks it. */
export const operatorCases: readonly Case[] = [
  {
    id: 'operator',
    says: 'kubectl gpfs explains a claim by its name, shows the fleet, finds no orphans, and collects a support bundle',
    run: async (space) => {
      await space.apply(claim('data'), pod('user', { claim: 'data', node: first }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await explained(space);
      const fleet = await gpfs(['status']);
      for (const { name } of nodes) match(fleet, new RegExp(`^ +${name} `, 'm'));
      match(await gpfs(['tree']), new RegExp(`${space.name}/data`));
      const volume = await space.get('pvc/data', '.spec.volumeName');
      ok(!(await gpfs(['orphans'])).includes(volume), 'a volume with a claim is no orphan');
      await bundled();
    },
  },
];

/** The claim is named in the record, so the driver finds it by that name; the plugin adds what the API says. */
async function explained(space: Space): Promise<void> {
  const text = await gpfs(['explain', 'pvc', 'data', '-n', space.name]);
  match(text, new RegExp(`${space.name}/data, Bound`));
  match(text, new RegExp(`from the driver on node ${first.name}`));
  match(text, /\/dev\/loop\d+/);
  match(text, new RegExp(rootFolder));
  const json: unknown = JSON.parse(await gpfs(['explain', `${space.name}/data`, '--json']));
  const { driver } = json as {
    readonly driver: {
      readonly version: number;
      readonly objects: readonly { readonly kubernetes: object }[];
    };
  };
  equal(driver.version, 1);
  const [object] = driver.objects;
  ok(object, 'explain --json has an object');
  deepEqual(object.kubernetes, { namespace: space.name, name: 'data' });
}

async function bundled(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gpfs-csi-e2e-'));
  try {
    const dir = join(folder, 'ticket');
    await gpfs(['support-bundle', '--dir', dir]);
    const files = await readdir(dir);
    for (const { name } of nodes) ok(files.includes(`${name}.tar.gz`), files.join(' '));
  } finally {
    await rm(folder, { recursive: true });
  }
}
