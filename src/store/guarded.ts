import { DriverError } from '../model/fault.ts';
import { errnoOf } from '../run/files.ts';
import type { Files } from '../run/files.ts';

/**
 * The same calls. Each change first waits for `check` and is not made when that throws; and what says
 * something about the file system rather than the file becomes a fault that callers understand.
 */
export function guardedFiles(files: Files, check: () => Promise<void>): Files {
  const plain =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      call(...args).catch(translate);
  const guard =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await check();
      return call(...args).catch(translate);
    };
  return {
    read: plain(files.read),
    list: plain(files.list),
    stat: plain(files.stat),
    space: plain(files.space),
    syncDirectory: plain(files.syncDirectory),
    createDurable: guard(files.createDurable),
    createSparse: guard(files.createSparse),
    grow: guard(files.grow),
    link: guard(files.link),
    rename: guard(files.rename),
    unlink: guard(files.unlink),
    makeDirectory: guard(files.makeDirectory),
    removeDirectory: guard(files.removeDirectory),
    chmod: guard(files.chmod),
    touch: guard(files.touch),
  };
}

const full = ['ENOSPC', 'EDQUOT'];
const away = ['ESTALE', 'EIO', 'ENODEV', 'ENXIO', 'ETIMEDOUT', 'ESHUTDOWN'];

function translate(error: unknown): never {
  const code = errnoOf(error) ?? '';
  if (full.includes(code))
    throw new DriverError(
      'no-space',
      `the file system has no space, inodes or quota left (${code}); delete something or ask for more`,
      error,
    );
  if (away.includes(code))
    throw new DriverError(
      'unavailable',
      `the file system does not answer (${code}); is GPFS running and mounted?`,
      error,
    );
  throw error;
}
