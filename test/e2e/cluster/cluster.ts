import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runFolder } from '../setup/places.ts';
import { attempt, sh } from '../setup/shell.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { kubectl } from '../kube.ts';
import { startApi, startControllers, startSnapshots, stopControlPlane } from './control-plane.ts';
import { makeCredentials } from './credentials.ts';
import { cgroupsOf, makeBridge, removeBridge } from './network.ts';
import { bootNode, haltNode, nodes, startKubelet, startRuntime } from './node.ts';

/** Folders that nodes mount something on; made here where the machine has none. */
const mountPoints = ['/var/lib/kubelet', '/var/lib/gpfs-csi', '/var/lib/cni'];
const madeFolders = join(runFolder, 'made-folders');

// kubelet changes these for the whole kernel.
const settings = ['vm.overcommit_memory', 'kernel.panic', 'kernel.panic_on_oops'];
const savedSettings = join(runFolder, 'sysctl.saved');

/** Starts what is not running of the cluster. The simulated GPFS must be mounted already. */
export async function clusterUp(archives: readonly string[]): Promise<void> {
  await mkdir(runFolder, { recursive: true });
  await makeMountPoints();
  if (!existsSync(savedSettings)) await writeFile(savedSettings, await sh(['sysctl', ...settings]));
  await makeBridge();
  for (const node of nodes) await bootNode(node);
  await makeCredentials(nodes.map(({ name }) => name));
  const runtimes = Promise.all(nodes.map((node) => startRuntime(node, archives)));
  await Promise.all([runtimes, startApi()]);
  await startControllers();
  await Promise.all([startSnapshots(), ...nodes.map(startKubelet)]);
  for (const { name } of nodes) {
    await until(`${name} registers`, patienceMs, () => kubectl(['get', 'node', name]));
    await kubectl([
      'wait',
      '--for=condition=Ready',
      `node/${name}`,
      `--timeout=${patienceMs / 1000}s`,
    ]);
  }
  const account = ['-n', 'default', 'get', 'serviceaccount', 'default'];
  await until('pods may be created', patienceMs, () => kubectl(account));
}

/** Stops the nodes and the control plane; removes their network and control groups. */
export async function clusterDown(): Promise<void> {
  for (const node of nodes) await haltNode(node);
  await stopControlPlane();
  await removeBridge();
  for (const { name } of nodes) for (const folder of cgroupsOf(name)) await removeTree(folder);
  if (existsSync(savedSettings)) await sh(['sysctl', '-qp', savedSettings]);
}

/** Deletes the state of the cluster. */
export async function removeState(): Promise<void> {
  const made = await readFile(madeFolders, 'utf8').catch(() => '');
  for (const folder of made.split('\n').filter((line) => line !== ''))
    await rmdir(folder).catch(() => undefined);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  if (mounts.includes(` ${runFolder}/`)) {
    throw new Error(`something is still mounted below ${runFolder}, so it is not deleted`);
  }
  await rm(runFolder, { recursive: true, force: true });
}

async function makeMountPoints(): Promise<void> {
  for (const folder of mountPoints) {
    const made = await mkdir(folder, { recursive: true });
    if (made !== undefined) await appendFile(madeFolders, `${folder}\n`);
  }
}

// Control groups are removed by rmdir alone, the innermost first.
async function removeTree(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const each of await readdir(folder, { withFileTypes: true }))
    if (each.isDirectory()) await removeTree(join(folder, each.name));
  await attempt(['rmdir', folder]);
}
