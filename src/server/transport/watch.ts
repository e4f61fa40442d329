import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** A file that must not be replaced. */
export interface WatchOptions {
  readonly path: string;
  readonly isOurs: () => boolean;
  /** Called once. */
  readonly onVanished: () => void;
  readonly everyMs: number;
}

/** Notices that a path no longer leads to the file: at once by inotify, or at the next regular check. */
export function watchInode({ path, isOurs, onVanished, everyMs }: WatchOptions): { stop(): void } {
  const stop = (): void => {
    clearInterval(timer);
    watcher?.close();
  };
  const check = (): void => {
    if (isOurs()) return;
    stop();
    onVanished();
  };
  // The timer is needed too: a mount over the folder raises no event, and inotify watches may be used up.
  const timer = setInterval(check, everyMs).unref();
  const watcher = watchFolder(dirname(path), check);
  return { stop };
}

function watchFolder(folder: string, check: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, check);
    watcher.on('error', () => {
      watcher.close();
    });
    return watcher;
  } catch {
    return undefined;
  }
}
