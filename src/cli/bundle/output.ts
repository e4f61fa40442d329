import { constants } from 'node:fs';
import { lstat, open, unlink, type FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { DriverError } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import { openNamed, type Trust } from '../../run/named/named.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Makes a new file that only its owner may read, fills it with what `make` resolves to, and removes it again where that
 * fails. `-` is standard output. Throws wrong-state where something has that name already.
 */
export async function intoNewFile(
  path: string,
  trust: Trust,
  make: () => Promise<Uint8Array>,
): Promise<void> {
  if (path === '-') {
    const bytes = await make();
    await pipeline([bytes], process.stdout, { end: false });
    return;
  }
  await using named = await openNamed(path, trust);
  await using file = await open(named.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600).catch(
    (error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
      throw new DriverError('wrong-state', `${path} is there already; name a new file`, error);
    },
  );
  try {
    await file.writeFile(await make());
    await file.sync();
  } catch (error) {
    await removeOwn(named.path, file);
    throw error;
  }
}

/** Removes the file of this name if it is still the one that is open. */
async function removeOwn(path: string, file: FileHandle): Promise<void> {
  const own = await file.stat({ bigint: true });
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  if (found?.ino === own.ino && found.dev === own.dev) await unlink(path);
}
