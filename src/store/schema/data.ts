import { z } from 'zod';
import { fsTypes } from '../../model/capability.ts';
import { parameterKeys } from '../../model/class/parameter-keys.ts';
import { recordShape } from '../../model/class/parameter-table.ts';
import { isNamespace, isObjectName } from '../../model/kubernetes.ts';
import { isLocalId, isRootId, parseId, type FileKey } from '../../model/ids.ts';

/** The format this version writes. A record of a higher one is refused, never rewritten. */
export const recordFormat = 1;

/** The format of a record. One that is newer than this version is refused before this is read. */
export const format = z.int().min(0);

/** A moment in milliseconds since 1970; JavaScript has no dates beyond. */
export const timeMs = z.number().min(0).max(8.64e15);

/** A whole number of things: far more than a record ever counts. */
export const count = z.int().min(0).max(1_000_000_000);

/** The sectors that a disk was made for. */
export const sectorBytes = z.int().min(512).max(65_536);

export const bytes = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt)
  // What off_t holds.
  .refine((size) => size < 2n ** 63n);
/** Becomes part of a path: the same form as that of an id that is made. */
export const localId = z
  .string()
  .refine(isLocalId, 'an id has a form that no id has')
  .transform((text) => text);
/** The id of a root. */
export const rootId = z.string().refine(isRootId, 'a root has an id that no root has');
/** An id that callers see. */
export const publicIdText = z
  .string()
  .refine((text) => parseId(text) !== undefined, 'it has the handle of no volume');
/** A text that is compared or shown, and becomes no path or argument. */
export const words = z.string().max(4096);
/** Becomes the name of a program. */
const fsType = z
  .string()
  .refine((text) => fsTypes.some((each) => each === text), 'it names no file system of the driver');
export const key = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.\d{1,15}-[0-9a-f]{1,64}$/)
  .transform((text) => text as FileKey);
const inode = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);

/** A data file that exists: its key, and the inode that carries it. */
export const dataFile = z.looseObject({ key, inode });

/**
 * What a volume's image holds, which decides whether it may be formatted. `formatting` is a mkfs of ours
 * that may have died half way; `unknown` was given to a pod as a device and is never formatted again.
 */
export const content = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('empty') }),
  z.looseObject({ kind: z.literal('formatting'), fsType }),
  z.looseObject({ kind: z.literal('filesystem'), fsType }),
  z.looseObject({ kind: z.literal('unknown') }),
]);
export type Content = z.output<typeof content>;

/** What Kubernetes called the object when it was made: for people, and never compared. */
export const kubernetesName = z.looseObject({
  namespace: z.string().refine(isNamespace, 'it has the name of no namespace'),
  name: z.string().refine(isObjectName, 'it has a name that Kubernetes gives to nothing'),
});

/** What mmchattr was given for a data file. */
export const attributes = z.looseObject(recordShape(parameterKeys, 'attributes'));

export const state = z.enum(['creating', 'ready', 'deleting', 'deleted']);
