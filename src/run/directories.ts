import { dirname } from 'node:path';
import { errnoOf, type Files } from './files.ts';

/** Does something in a directory; where the directory is not there yet, makes it and does it again. */
export async function makeIn<T>(
  files: Files,
  directory: string,
  action: () => Promise<T>,
  mode = 0o750,
): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await action();
    } catch (error) {
      // Another process may remove an empty one between the two calls.
      if (errnoOf(error) !== 'ENOENT' || attempt === attempts) throw error;
      await makePath(files, directory, mode);
    }
}

const attempts = 10;

/** The directory, and those above it that are missing; never above one that exists. */
async function makePath(files: Files, directory: string, mode: number): Promise<void> {
  try {
    await files.makeDirectory(directory, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makePath(files, dirname(directory), mode);
    await files.makeDirectory(directory, mode);
  }
}
