import { z } from 'zod';
import { bytes, key, localId, publicIdText, rootId, timeMs } from './data.ts';

/** Bytes of a new file that no clone shares: allocated ahead, copied from a clone parent, or both. */
const fill = z.looseObject({
  thick: z.boolean(),
  allocatedBytes: bytes,
  copiedBytes: bytes,
  /** The source of the copy, once it is known. It has an edge to the new file, as if that were a child. */
  from: z
    .looseObject({
      root: rootId,
      data: z.enum(['volumes', 'snapshots', 'hidden']),
      key,
      bytes,
    })
    .nullable(),
});
export type Fill = z.output<typeof fill>;

/** The running operation of one server on one object. */
export const claim = z.looseObject({
  op: z.enum(['create', 'snapshot', 'clone', 'expand', 'delete', 'compact', 'fence', 'modify']),
  node: z.string(),
  instance: z.string(),
  boot: z.string(),
  /** Tells this claim from every other one. */
  nonce: z.string(),
  sinceMs: timeMs,
  /** The id of the request that began it, which the log lines of its server have. */
  request: z.string().max(64).optional(),
  /** The server gave up and leaves the rest to the next server. */
  released: z.boolean(),
  /** `snapshot`, `clone` and `fence`: the clone parent that will be put above the volume. */
  parent: key.optional(),
  /** `snapshot`: whose file that parent is. `create` and `fence`: the file about to be made is `image`. */
  snapshot: localId.optional(),
  image: key.optional(),
  /** `fence`: the image that gives way to it, which a node that is cut off may still have open. */
  fenced: key.optional(),
  /** `expand`: the size to reach. */
  bytes: bytes.optional(),
  /** `create`: the file is filled before the volume is ready, and how far that is. */
  fill: fill.optional(),
  /** `compact`: the parent to leave, and the parent to hang on afterwards; null for none. */
  from: key.optional(),
  to: key.nullable().optional(),
  /** `delete`: the volume is in another root by now, under this id. Its handle must lead there before its file goes. */
  movedTo: publicIdText.optional(),
  /** `compact`: a request waits for the file, so the server that redirects it must stop. */
  wanted: z.boolean().optional(),
});
export type Claim = z.output<typeof claim>;
