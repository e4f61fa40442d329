import { dirname } from 'node:path';
import { errnoOf, type Files } from './files.ts';

/** Runs an action in a directory. When the directory is missing, makes it and runs the action again. */
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
      // Another process may remove the empty directory between the two calls.
      if (errnoOf(error) !== 'ENOENT' || attempt === attempts) throw error;
      await makePath(files, directory, mode);
    }
}

const attempts = 10;

/** Makes the directory and the missing ones above it. */
async function makePath(files: Files, directory: string, mode: number): Promise<void> {
  try {
    await files.makeDirectory(directory, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makePath(files, dirname(directory), mode);
    await files.makeDirectory(directory, mode);
  }
}
