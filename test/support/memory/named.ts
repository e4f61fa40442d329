import type { NameIn } from '../../../src/run/named/named.ts';

/** A path of the in-memory file system, which nobody exchanges, as commands name files. */
export const asNamed = (path: string): NameIn => ({ shown: path, path });
