import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordsOnDisk } from './real-truth.ts';

/** Waits until an operation of this kind is under way on some volume. */
export async function claimed(root: string, op: string): Promise<void> {
  while (!recordsOnDisk(root, 'volumes').some(({ claim }) => claim?.op === op)) await sleep(5);
}

/** Makes a node's last heartbeat this old. */
export async function makeSilent(root: string, node: string, seconds: number): Promise<void> {
  const then = Date.now() / 1000 - seconds;
  await utimes(join(root, '.gpfs-csi', 'nodes', `${node}.json`), then, then);
}
