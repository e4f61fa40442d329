/** A package of npm, and the sum that its archive must have. */
export interface Pinned {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

/** The npm of the base. */
export declare const npm: Pinned;

/** The Node of the base, for this machine's architecture, as package-lock.json has it. */
export declare function pinnedNode(root: string): Pinned;

/** Unpacks a package of npm into a new folder, once the sum of what came is the pinned one. */
export declare function unpackPinned(
  pinned: Pinned,
  folder: string,
  env?: NodeJS.ProcessEnv,
): Promise<string>;
