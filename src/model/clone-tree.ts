import type { Bytes } from './bytes.ts';
import type { FileKey } from './ids.ts';
import { hasAttributes, type FileAttributes } from './class/parameters.ts';

/** A data file: the directory it lies in, and its key. */
export interface DataRef {
  readonly data: 'volumes' | 'snapshots' | 'hidden';
  readonly key: FileKey;
}

/**
 * One thing to do to files or to the clone graph. Every step can be found done, half done or not done
 * from outside, and each data file in it has a name that is used once.
 */
export type CloneStep =
  | { readonly do: 'make'; readonly file: DataRef; readonly bytes: Bytes }
  | { readonly do: 'edge'; readonly parent: FileKey; readonly child: FileKey }
  /** Only continue while the parent may still have children. */
  | { readonly do: 'confirm'; readonly parent: DataRef }
  | { readonly do: 'snap'; readonly file: DataRef; readonly parent: DataRef }
  | { readonly do: 'copy'; readonly parent: DataRef; readonly file: DataRef }
  | { readonly do: 'mode'; readonly file: DataRef; readonly mode: number }
  | { readonly do: 'attributes'; readonly file: DataRef; readonly attributes: FileAttributes }
  | { readonly do: 'grow'; readonly file: DataRef; readonly bytes: Bytes };

/** Modes of data files: images are written, clone parents never again. */
export const imageMode = 0o660;
const parentMode = 0o640;

/** An empty volume. Attributes come before the first block, so that every block lands where it should. */
export const planEmpty = (
  image: DataRef,
  bytes: Bytes,
  attributes: FileAttributes,
): readonly CloneStep[] => [
  { do: 'make', file: image, bytes },
  ...attributeSteps(image, attributes),
];

/**
 * A child of a clone parent. The edge comes first and the parent is checked afterwards: a server that removes
 * the parent marks it first and looks for edges afterwards, so one of the two sees the other.
 */
export const planCopy = (
  parent: DataRef,
  image: DataRef,
  size: { readonly parentBytes: Bytes; readonly bytes: Bytes },
  attributes: FileAttributes,
): readonly CloneStep[] => [
  { do: 'edge', parent: parent.key, child: image.key },
  { do: 'confirm', parent },
  { do: 'copy', parent, file: image },
  { do: 'mode', file: image, mode: imageMode },
  ...attributeSteps(image, attributes),
  ...(size.bytes > size.parentBytes
    ? [{ do: 'grow', file: image, bytes: size.bytes } as const]
    : []),
];

/** A new clone parent between an image and the parent it had: the image keeps its inode and gets one deeper. */
export const planSnap = (
  image: DataRef,
  parent: DataRef,
  grandparent: FileKey | null,
): readonly CloneStep[] => [
  ...(grandparent === null
    ? []
    : [{ do: 'edge', parent: grandparent, child: parent.key } as const]),
  { do: 'edge', parent: parent.key, child: image.key },
  { do: 'snap', file: image, parent },
  { do: 'mode', file: parent, mode: parentMode },
];

const attributeSteps = (file: DataRef, attributes: FileAttributes): readonly CloneStep[] =>
  hasAttributes(attributes) ? [{ do: 'attributes', file, attributes }] : [];
