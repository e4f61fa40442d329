import { dirname } from 'node:path';
import { errnoOf } from '../run/files.ts';
import type { Files } from '../run/files.ts';

/** Does something in a directory; where the directory is not there yet, makes it and does it again. */
export async function makeIn<T>(
  files: Files,
  directory: string,
  action: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await action();
    } catch (error) {
      // Another server may remove an empty one between the two calls.
      if (errnoOf(error) !== 'ENOENT' || attempt === attempts) throw error;
      await makePath(files, directory);
    }
}

const attempts = 10;

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
