import { createHash } from 'node:crypto';

/** Names one root permanently: eight hex digits made when the root was set up. */
export type RootId = string & { readonly root: never };

/** Names an object inside its root; letters, digits, `-` and `_` only, so it can be part of a file name. */
export type LocalId = string & { readonly local: never };

/** Names one data file, and is used once: `LOCAL.NUMBER-NONCE`. Clone parents and children are known by it. */
export type FileKey = string & { readonly key: never };

const plain = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const hashed = /^h-[0-9a-f]{40}$/;

/** Whether a text has the form of the id of a root. */
export const isRootId = (text: string): text is RootId & string => /^[0-9a-f]{8}$/.test(text);

/** Whether a text has the form of an id inside a root. */
export const isLocalId = (text: string): text is LocalId & string => plain.test(text);

/**
 * The id of what a user calls `name` (any Unicode): the name itself where it is plain, else a hash of its
 * bytes, so that a retry finds its object without a search and no name ever becomes a path.
 */
export function localIdOf(name: string): LocalId {
  if (plain.test(name) && !hashed.test(name)) return name as LocalId;
  return `h-${createHash('sha256').update(name, 'utf8').digest('hex').slice(0, 40)}` as LocalId;
}

/**
 * The id of a golden image: a snapshot without a source volume, whose file came from outside. All that works with
 * snapshots works with images: clones, tombstones, lists, VolumeSnapshotContents.
 */
export const imageId = (name: string): LocalId => localIdOf(`image-${name}`);

/** The id that callers see. It names the root and the object, so nothing else is needed to find a volume. */
export const publicId = (root: RootId, local: LocalId): string => `${root}.${local}`;

/** The parts of an id; undefined for one that this driver cannot have made. */
export function parseId(id: string): { root: RootId; local: LocalId } | undefined {
  const dot = id.indexOf('.');
  const root = id.slice(0, dot);
  const local = id.slice(dot + 1);
  if (dot < 0 || !isRootId(root) || !isLocalId(local)) return undefined;
  return { root, local };
}

/** A new file key for an object: `number` says which claim made it, `nonce` makes it used once. */
export const fileKey = (local: LocalId, number: number, nonce: string): FileKey =>
  `${local}.${number}-${nonce}` as FileKey;

/** The object whose operation made the file. */
export const ownerOfKey = (key: FileKey): LocalId => key.slice(0, key.indexOf('.')) as LocalId;

/** The number in a file key: the version of the record whose claim announced the file. */
export const numberOfKey = (key: FileKey): number =>
  Number(key.slice(key.indexOf('.') + 1, key.lastIndexOf('-')));

/** Three hex digits: spreads objects over 4,096 directories, so that 100,000 open as fast as 100. */
export const shardOf = (local: string): string =>
  createHash('sha256').update(local, 'utf8').digest('hex').slice(0, 3);
