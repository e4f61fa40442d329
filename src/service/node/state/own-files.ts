import { dirname } from 'node:path';
import { makeIn } from '../../../run/directories.ts';
import { DriverError } from '../../../model/fault.ts';
import { errnoOf, isFull, undefinedWhenMissing, type Files } from '../../../run/files.ts';

/** Small files on this node's own disk, each with one writer at a time. */
export interface OwnFiles {
  /** Writes the whole file or nothing; durable when it resolves. Makes a missing directory. */
  replace(path: string, text: string): Promise<void>;
  /**
   * The same for a file that must change also while the disk is full: a spare file lies beside it, which takes its
   * place then. Texts are padded with spaces, so that each of the two has blocks for any text of 8 KiB.
   */
  replaceAlways(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const spareBytes = 8192;

// One name for each file, not one for each attempt: the next attempt finds and replaces what a driver that died left.
const halfOf = (path: string): string => `${path}.half`;
const spareOf = (path: string): string => `${path}.spare`;

/** Files that are replaced by a rename. */
export function ownFiles(files: Files): OwnFiles {
  const replace = async (path: string, text: string): Promise<void> => {
    const half = halfOf(path);
    const write = () => files.createDurable(half, text, 0o600);
    await makeIn(files, dirname(path), write, 0o700).catch(async (error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
      await files.unlink(half);
      await write();
    });
    await files.rename(half, path);
    await files.syncDirectory(dirname(path));
  };
  return {
    replace: (path, text) =>
      replace(path, text).catch((error: unknown) => {
        throw asFull(path, error);
      }),
    replaceAlways: async (path, text) => {
      const padded = text.padEnd(spareBytes);
      try {
        await makeSpare(files, path);
        await replace(path, padded);
      } catch (error) {
        if (!isFull(error) || !(await exchange(files, path, padded))) throw asFull(path, error);
      }
    },
    remove: async (path) => {
      for (const each of [path, halfOf(path), spareOf(path)])
        await files.unlink(each).catch(undefinedWhenMissing);
      await files.syncDirectory(dirname(path)).catch(undefinedWhenMissing);
    },
  };
}

async function makeSpare(files: Files, path: string): Promise<void> {
  const spare = spareOf(path);
  const text = ''.padEnd(spareBytes);
  const found = await files.stat(spare).catch(undefinedWhenMissing);
  if (!found)
    await makeIn(files, dirname(spare), () => files.createDurable(spare, text, 0o600), 0o700);
  // A driver that died while it made this one left it short. It may do as it is.
  else if (found.size < spareBytes) await files.overwrite(spare, text).catch(() => undefined);
}

/** Puts the spare file in the place of a file, which becomes the spare one; false where there is none of the two. */
async function exchange(files: Files, path: string, text: string): Promise<boolean> {
  const [half, spare] = [halfOf(path), spareOf(path)];
  if (!(await files.stat(path).catch(undefinedWhenMissing))) {
    await files.unlink(spare).catch(undefinedWhenMissing);
    return false;
  }
  try {
    await files.rename(spare, half);
  } catch (error) {
    undefinedWhenMissing(error);
    return false;
  }
  await files.overwrite(half, text);
  // The directory may have no room for a second name: then the next write makes a spare file as soon as it can.
  await files.link(path, spare).catch(() => undefined);
  await files.rename(half, path);
  await files.syncDirectory(dirname(path));
  return true;
}

const asFull = (path: string, error: unknown): unknown =>
  isFull(error)
    ? new DriverError(
        'no-space',
        `the disk of this node has no space, inodes or quota left in ${dirname(path)} (${errnoOf(error) ?? ''}); make room there, then try again`,
        error,
      )
    : error;
