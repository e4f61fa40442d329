import { DriverError } from '../model/fault.ts';
import { errnoOf, type Files } from '../run/files.ts';

type Call = (...args: never[]) => Promise<unknown>;

/** The same calls; an error of the file system, rather than of the file, becomes a fault that callers understand. */
export function translatedFiles(files: Files): Files {
  const translated = <C extends Call>(call: C): C =>
    ((...args: Parameters<C>) => call(...args).catch(translate)) as C;
  return mapCalls(files, translated);
}

/** The same calls; each change waits for `check` first, and is not made when that throws. */
export function guardedFiles(files: Files, check: () => Promise<void>): Files {
  const guarded = <C extends Call>(call: C): C =>
    (async (...args: Parameters<C>) => {
      await check();
      return call(...args);
    }) as C;
  const { read, list, stat, held, space, syncDirectory } = files;
  return { ...mapCalls(files, guarded), read, list, stat, held, space, syncDirectory };
}

function mapCalls(files: Files, wrap: <C extends Call>(call: C) => C): Files {
  return {
    read: wrap(files.read),
    list: wrap(files.list),
    stat: wrap(files.stat),
    held: wrap(files.held),
    space: wrap(files.space),
    syncDirectory: wrap(files.syncDirectory),
    createDurable: wrap(files.createDurable),
    createSparse: wrap(files.createSparse),
    grow: wrap(files.grow),
    copyRange: wrap(files.copyRange),
    writeZeros: wrap(files.writeZeros),
    link: wrap(files.link),
    rename: wrap(files.rename),
    unlink: wrap(files.unlink),
    makeDirectory: wrap(files.makeDirectory),
    removeDirectory: wrap(files.removeDirectory),
    chmod: wrap(files.chmod),
    touch: wrap(files.touch),
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
