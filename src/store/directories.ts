import { dirname } from 'node:path';
import { errnoOf } from '../run/files.ts';
import type { Files } from '../run/files.ts';

/** Does something in a directory; where the directory is not there yet, makes it and does it again. */
export async function makeIn<T>(
  files: Files,
  directory: string,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makePath(files, directory);
    return action();
  }
}

/** The directory, and those above it that are missing; never above one that exists. */
async function makePath(files: Files, directory: string): Promise<void> {
  try {
    await files.makeDirectory(directory, 0o750);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makePath(files, dirname(directory));
    await files.makeDirectory(directory, 0o750);
  }
}
