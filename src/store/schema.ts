import { z } from 'zod';
import { fsTypes } from '../model/capability.ts';
import type { AccessMode } from '../model/capability.ts';
import type { FileKey, LocalId } from '../model/ids.ts';

/** The format this version writes. A record of a higher one is refused, never rewritten. */
export const recordFormat = 1;

const bytes = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);
const localId = z.string().transform((text) => text as LocalId);
const key = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*\.\d+-[0-9a-f]+$/)
  .transform((text) => text as FileKey);
const inode = z.string().regex(/^\d+$/).transform(BigInt);

/** A data file that exists: its key, and the inode that carries it. */
const dataFile = z.looseObject({ key, inode });

/**
 * What a volume's image holds, which decides whether it may be formatted. `formatting` is a mkfs of ours
 * that may have died half way; `unknown` was open to a pod as a device and is never formatted again.
 */
const content = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('empty') }),
  z.looseObject({ kind: z.literal('formatting'), fsType: z.string() }),
  z.looseObject({ kind: z.literal('filesystem'), fsType: z.string() }),
  z.looseObject({ kind: z.literal('unknown') }),
]);
export type Content = z.output<typeof content>;

/** Bytes that get into a new file other than by a clone: allocated ahead, copied from a clone parent, or both. */
const fill = z.looseObject({
  thick: z.boolean(),
  allocatedBytes: bytes,
  copiedBytes: bytes,
  /** Where is copied from, once that is known. It has an edge to the new file, as if that were a child. */
  from: z
    .looseObject({
      root: z.string(),
      data: z.enum(['volumes', 'snapshots', 'hidden']),
      key,
      bytes,
    })
    .nullable(),
});
export type Fill = z.output<typeof fill>;

/**
 * Whether the file system on an image can be mounted from a device that is read-only: `clean` says that its
 * journal was replayed; `replaying` that this node does it, as long as the node has a mark on the image.
 */
const journal = z.looseObject({
  image: key,
  state: z.enum(['replaying', 'clean']),
  node: z.string(),
});
export type Journal = z.output<typeof journal>;

/** The running operation of one server on one object. */
const claim = z.looseObject({
  op: z.enum(['create', 'snapshot', 'clone', 'expand', 'delete', 'compact', 'fence', 'modify']),
  node: z.string(),
  instance: z.string(),
  boot: z.string(),
  /** Tells this claim from every other one. */
  nonce: z.string(),
  sinceMs: z.number(),
  /** The server gave up and left the rest to whoever comes next. */
  released: z.boolean(),
  /** `snapshot`, `clone` and `fence`: the clone parent about to be put above the volume. */
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
  /** `compact`: the parent to be moved off, and the one to hang on afterwards; null for none. */
  from: key.optional(),
  to: key.nullable().optional(),
  /** `delete`: the volume is in another root by now, under this id; its handle is to lead there first. */
  movedTo: z.string().optional(),
  /** `compact`: somebody waits for the file; stop and let go of it. */
  wanted: z.boolean().optional(),
});
export type Claim = z.output<typeof claim>;

const capability = z.looseObject({
  access: z.discriminatedUnion('kind', [
    z.looseObject({ kind: z.literal('block') }),
    z.looseObject({ kind: z.literal('mount'), fsType: z.string(), flags: z.array(z.string()) }),
  ]),
  mode: z.string().transform((text) => text as AccessMode),
});

/** One node that may use the volume. */
const attachment = z.looseObject({
  node: z.string(),
  readonly: z.boolean(),
  capability,
  sinceMs: z.number(),
  /** `fencing`: other nodes are being cut off first, and until then the volume is not to be used. */
  state: z.enum(['fencing', 'ready']).optional(),
});
export type Attachment = z.output<typeof attachment>;

const source = z.looseObject({ kind: z.enum(['snapshot', 'volume']), id: z.string() });

/** What CreateVolume asked for, kept to tell a retry from another volume of the same name. */
const asked = z.looseObject({
  requiredBytes: bytes,
  limitBytes: bytes,
  /** Sorted canonical texts (model/capability.ts). */
  capabilities: z.array(z.string()),
  parameters: z.record(z.string(), z.string()),
  source: source.nullable(),
});

const attributes = z.looseObject({
  pool: z.string().optional(),
  dataReplicas: z.number().optional(),
  metadataReplicas: z.number().optional(),
  directIo: z.boolean().optional(),
  writeAffinityDepth: z.number().optional(),
  blockGroupFactor: z.number().optional(),
  writeAffinityFailureGroup: z.string().optional(),
});

/** What the class of a volume said beyond placement (model/parameters.ts); records of older versions have none. */
const options = z
  .looseObject({
    provisioning: z.enum(['thin', 'thick']).optional(),
    maxCloneDepth: z.number().optional(),
    discard: z.enum(['auto', 'on', 'off']).optional(),
    freeze: z.enum(['auto', 'never']).optional(),
    fsType: z.enum(fsTypes).optional(),
    fsLabel: z.string().optional(),
    mkfsOptions: z.array(z.string()).readonly().optional(),
  })
  .default({});

const state = z.enum(['creating', 'ready', 'deleting', 'deleted']);

export const volumeRecord = z.looseObject({
  format: z.number(),
  id: localId,
  name: z.string(),
  state,
  bytes,
  asked,
  attributes,
  options,
  /** The id that callers know it by, where that names the root it came from. */
  handle: z.string().optional(),
  /** The volume context that callers see: fixed when the volume is made, whatever changes later. */
  context: z.record(z.string(), z.string()).default({}),
  image: dataFile.nullable(),
  /** The clone parent that the image reads through. */
  parent: key.nullable(),
  /** What its partition table or file system counts in, where that is not the sector of our loop devices. */
  sectorBytes: z.number().optional(),
  /** Clone parents above the image: an upper bound, as those may be moved up meanwhile. */
  depth: z.number().optional(),
  content,
  /** No node could have written since `parent` was put above the image, so a clone may share `parent`. */
  unchanged: z.boolean(),
  /** Only of the image it names, and only until a node may write again. */
  journal: journal.optional(),
  attachments: z.array(attachment),
  createdMs: z.number(),
  /** When it was deleted; the record stays a while, so that nobody who slept can bring the object back. */
  deletedMs: z.number().optional(),
  claim: claim.nullable(),
  /** The running change of attributes. Moving blocks takes long, so it excludes no other operation. */
  retype: claim.nullable().default(null),
});
export type VolumeRecord = z.output<typeof volumeRecord>;

/** What an image is called, and what it was when it came in. */
const goldenImage = z.looseObject({
  name: z.string(),
  format: z.enum(['raw', 'qcow2']),
});

export const snapshotRecord = z.looseObject({
  format: z.number(),
  id: localId,
  name: z.string(),
  state,
  /** Local id of the volume it was taken from, which may be gone by now. */
  volume: localId,
  /** A golden image: its file was brought in from outside, no volume was cut. */
  golden: goldenImage.optional(),
  sectorBytes: z.number().optional(),
  bytes,
  file: dataFile.nullable(),
  parent: key.nullable(),
  depth: z.number().optional(),
  content,
  attributes,
  createdMs: z.number(),
  deletedMs: z.number().optional(),
  claim: claim.nullable(),
});
export type SnapshotRecord = z.output<typeof snapshotRecord>;

/** A clone parent that no caller can name: of a volume-to-volume clone, or of a deleted snapshot (tombstone). */
export const hiddenRecord = z.looseObject({
  format: z.number(),
  id: key,
  why: z.enum(['clone', 'tombstone']),
  state: z.enum(['waiting', 'removing']),
  /** The directory the file lies in. */
  data: z.enum(['snapshots', 'hidden']),
  parent: key.nullable(),
  sectorBytes: z.number().optional(),
  depth: z.number().optional(),
  bytes,
  content,
  createdMs: z.number(),
  claim: claim.nullable().default(null),
});
export type HiddenRecord = z.output<typeof hiddenRecord>;

/** Which server works off the queue of a root: for economy, not for correctness. Good while that server is alive. */
export const leaseRecord = z.looseObject({
  format: z.number(),
  node: z.string(),
  instance: z.string(),
  sinceMs: z.number(),
  released: z.boolean(),
  /** When the root was last swept, by whoever had the lease then. */
  sweptMs: z.number().optional(),
});
export type LeaseRecord = z.output<typeof leaseRecord>;

/** Why an item of the queue was put off, and until when. An item that never was is an empty file. */
export const queueItem = z.looseObject({
  format: z.number(),
  tries: z.number(),
  untilMs: z.number(),
  why: z.string(),
  /** The server that is at work on it. */
  instance: z.string().optional(),
});
export type QueueItem = z.output<typeof queueItem>;

export const rootFile = z.looseObject({
  format: z.number(),
  rootId: z.string().regex(/^[0-9a-f]{8}$/),
  clusterId: z.string(),
  fileSystem: z.string(),
  fileset: z.string(),
  owner: z.string(),
  createdMs: z.number(),
});
export type RootFile = z.output<typeof rootFile>;

/** What each server writes about itself at start; its modification time is the heartbeat. */
export const nodeFile = z.looseObject({
  format: z.number(),
  node: z.string(),
  machineId: z.string(),
  bootId: z.string(),
  instance: z.string(),
  version: z.string(),
  maxVolumes: z.number(),
});
export type NodeFile = z.output<typeof nodeFile>;

/** Left by a node as long as it may have the image open. */
export const markFile = z.looseObject({
  format: z.number(),
  node: z.string(),
  machineId: z.string(),
  bootId: z.string(),
  image: key,
  sinceMs: z.number(),
});
export type MarkFile = z.output<typeof markFile>;

/** What the probe of a root found out; see model/abilities.ts. A field it did not come to is absent. */
export const abilitiesFile = z.looseObject({
  format: z.number(),
  /** Where and when it was found out, with which version of the driver, on which format of the file system. */
  node: z.string(),
  version: z.string(),
  release: z.string().optional(),
  probedMs: z.number(),
  /** Every trial had an answer. */
  complete: z.boolean().optional(),
  abilities: z.looseObject({
    snapOpen: z.boolean().optional(),
    redirectOpen: z.boolean().optional(),
    redirectAttached: z.boolean().optional(),
    redirectParent: z.boolean().optional(),
    zeroInClone: z.boolean().optional(),
    directIo: z.boolean().optional(),
    punchHole: z.boolean().optional(),
    renameParent: z.boolean().optional(),
    linkCount: z.boolean().optional(),
  }),
  /** How each trial ended, by its name. */
  outcomes: z
    .record(
      z.string(),
      z.looseObject({
        kind: z.enum(['yes', 'no', 'unknown']),
        ms: z.number(),
        why: z.string().optional(),
      }),
    )
    .optional(),
  /** How long each command took, in ms. */
  latencyMs: z.record(z.string(), z.number()).optional(),
});
