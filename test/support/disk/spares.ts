import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Files, directories and larger files, as src/store/spare.ts makes them. */
const all = 128 + 32 + 16;

/** Resolves when a server has made the spare files of a root, which it begins at its start. */
export async function sparesMade(root: string): Promise<void> {
  while ((await readdir(join(root, '.gpfs-csi', 'spare'))).length < all) await sleep(20);
}
