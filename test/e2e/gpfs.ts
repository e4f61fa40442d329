import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkout, gpfsFolder, rootFolder } from './setup/places.ts';
import { patienceMs, until } from './setup/wait.ts';
import { sh } from './setup/shell.ts';
import { nodes, onNode, type Node } from './cluster/node.ts';

const program = join(checkout, 'src', 'cli', 'main.ts');

const simulate = (...args: string[]): Promise<string> =>
  sh([process.execPath, program, 'simulate', ...args, '--dir', gpfsFolder, '--json'], {
    cwd: checkout,
  });

/** Where the simulated GPFS is mounted. */
export const gpfsMount = join(gpfsFolder, 'fs1');

/** Brings the simulated GPFS up, for nodes that are started afterwards. */
export async function gpfsUp(): Promise<void> {
  await simulate('up', '--size', '40G');
  await mkdir(rootFolder, { recursive: true, mode: 0o750 });
}

/** Removes the simulated GPFS with all volumes, and the loop devices that killed nodes left. */
export async function gpfsDown(): Promise<void> {
  await simulate('down', '--force');
}

const status = z.object({ state: z.string(), reasons: z.array(z.string()) });

/** What the simulator found to be wrong with its data; nothing when it is sound. */
export async function gpfsDamage(): Promise<readonly string[]> {
  // It ends with 1 when something is wrong, and still prints what.
  const out = await simulate('status').catch(
    (error: unknown) => z.object({ stdout: z.string() }).parse(error).stdout,
  );
  const { state, reasons } = status.parse(JSON.parse(out));
  return state === 'up' ? [] : [`${state}: ${reasons.join('; ')}`];
}

/** Unmounts GPFS on one node, as soon as no driver has a file of it open. */
export const unmountOn = (node: Node): Promise<string> =>
  until(`GPFS is unmounted on ${node.name}`, patienceMs, () => onNode(node, ['umount', gpfsMount]));

/** Mounts GPFS on one node again: the same device, as all nodes of a cluster mount the same disks. */
export async function mountOn(node: Node): Promise<void> {
  const image = join(gpfsFolder, 'image.xfs');
  const device = (await sh(['losetup', '-n', '-O', 'NAME', '-j', image])).trim();
  await onNode(node, ['mount', '-t', 'xfs', device, gpfsMount]);
}

/** Stops GPFS on all nodes, as mmshutdown does: unmounts the file system even while files are open. */
export async function stopGpfs(): Promise<void> {
  await simulate('up', '--set', 'daemon=down');
  for (const node of nodes) await onNode(node, ['umount', '--lazy', gpfsMount]);
}

/** Starts GPFS on all nodes, and mounts its file system. */
export async function startGpfs(): Promise<void> {
  await simulate('up', '--set', 'daemon=active');
  for (const node of nodes) await mountOn(node);
}

const commands = join(gpfsFolder, 'bin');

/** What GPFS says of the placement of a file. */
export const attributesOf = (path: string): Promise<string> =>
  sh([join(commands, 'mmlsattr'), '-L', path]);

/** Hides a command on one node, as if GPFS were not installed there. */
export async function hideCommand(node: Node, name: string): Promise<void> {
  const others = join(node.folder, 'commands');
  await rm(others, { recursive: true, force: true });
  await cp(commands, others, { recursive: true, verbatimSymlinks: true });
  await rm(join(others, name));
  await onNode(node, ['mount', '--bind', others, commands]);
}

/** Undoes hideCommand. */
export const showCommands = (node: Node): Promise<string> =>
  onNode(node, ['umount', '-l', commands]);
