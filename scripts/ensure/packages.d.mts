/** What the lock file says of where a package fits. */
export interface LockEntry {
  readonly optional?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: string | readonly string[];
}

/** Whether a package is the one of several that this kind of machine needs. */
export function isForThisMachine(entry: LockEntry): boolean;
