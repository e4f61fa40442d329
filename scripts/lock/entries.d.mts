export interface Entry {
  readonly version?: string;
  readonly name?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
}

export interface Lock {
  readonly packages: Readonly<Record<string, Entry>>;
}

/** The packages of a lock file that come from a registry, each once, as name@version. */
export declare function packagesOf(lock: Lock): readonly string[];

/** The lock file with the sum of each package in its entry, and how many entries that changes. */
export declare function fillLock(
  lock: Lock,
  sums: ReadonlyMap<string, string | undefined>,
): { readonly filled: Lock; readonly changes: number };
