import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** A file that must stay the one it is. */
export interface WatchOptions {
  readonly path: string;
  readonly isOurs: () => boolean;
  /** Called once. */
  readonly onVanished: () => void;
  readonly everyMs: number;
}

/** Notices when a path no longer leads to our file: at once by inotify, else at the next look. */
export function watchInode({ path, isOurs, onVanished, everyMs }: WatchOptions): { stop(): void } {
  const stop = (): void => {
    clearInterval(timer);
    watcher?.close();
  };
  const look = (): void => {
    if (isOurs()) return;
    stop();
    onVanished();
  };
  // A mount over the folder raises no event, and inotify watches may be used up; hence the timer too.
  const timer = setInterval(look, everyMs).unref();
  const watcher = watchFolder(dirname(path), look);
  return { stop };
}

function watchFolder(folder: string, look: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, look);
    watcher.on('error', () => {
      watcher.close();
    });
    return watcher;
  } catch {
    return undefined;
  }
}
