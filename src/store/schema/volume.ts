import { z } from 'zod';
import type { AccessMode } from '../../model/capability.ts';
import { wrongWords } from '../../model/class/mkfs-options.ts';
import { parameterKeys } from '../../model/class/parameter-keys.ts';
import { recordShape, type ParameterTable } from '../../model/class/parameter-table.ts';
import { claim } from './claim.ts';
import {
  attributes,
  bytes,
  content,
  count,
  dataFile,
  format,
  key,
  kubernetesName,
  localId,
  publicIdText,
  sectorBytes,
  state,
  timeMs,
  words,
} from './data.ts';
import { history } from './history.ts';

/**
 * Whether the file system on an image can be mounted from a device that is read-only: `clean` says that its
 * journal was replayed; `replaying` that this node does it, as long as the node has a mark on the image.
 */
const journal = z.looseObject({
  image: key,
  state: z.enum(['replaying', 'clean']),
  node: z.string(),
});
export type JournalState = z.output<typeof journal>;

const capability = z.looseObject({
  access: z.discriminatedUnion('kind', [
    z.looseObject({ kind: z.literal('block') }),
    z.looseObject({ kind: z.literal('mount'), fsType: words, flags: z.array(words) }),
  ]),
  mode: z.string().transform((text) => text as AccessMode),
});

/** One node that may use the volume. */
const attachment = z.looseObject({
  node: z.string(),
  readonly: z.boolean(),
  capability,
  sinceMs: timeMs,
  /** `fencing`: other nodes are being cut off first, and until then the volume must not be used. */
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

/** What a class said besides attributes, by the table of its keys. */
export const optionsOf = <Table extends ParameterTable>(table: Table) =>
  z.looseObject(recordShape(table, 'options', 'format')).superRefine((options, context) => {
    const problem = wrongWords(options);
    if (problem !== undefined) context.addIssue(problem);
  });

export const volumeRecord = z.looseObject({
  format,
  id: localId,
  name: z.string(),
  state,
  bytes,
  asked,
  /** The claim that it was made for. */
  kubernetes: kubernetesName.optional(),
  attributes,
  /** A record of an older version has none. */
  options: optionsOf(parameterKeys).default({}),
  /** The id that callers know it by, where that names the root it came from. */
  handle: publicIdText.optional(),
  /** The volume context that callers see: fixed when the volume is made, whatever changes later. */
  context: z.record(z.string(), z.string()).default({}),
  image: dataFile.nullable(),
  /** The clone parent that the image reads through. */
  parent: key.nullable(),
  /** The sector size of its partition table or file system, where that is not the sector of our loop devices. */
  sectorBytes: sectorBytes.optional(),
  /** Clone parents above the image: an upper bound, as those may be moved up meanwhile. */
  depth: count.optional(),
  content,
  /** No node could have written since `parent` was put above the image, so a clone may share `parent`. */
  unchanged: z.boolean(),
  /** The hidden parent that was cut off the image last: a clone that was asked for before that cut may share it. */
  lastCut: key.optional(),
  /** Only of the image it names, and only until a node may write again. */
  journal: journal.optional(),
  attachments: z.array(attachment),
  createdMs: timeMs,
  /** When it was deleted. The record stays for some time, so that a server that slept cannot recreate the object. */
  deletedMs: timeMs.optional(),
  claim: claim.nullable(),
  /** The running change of attributes. Moving blocks takes long, so it excludes no other operation. */
  retype: claim.nullable().default(null),
  history,
});
export type VolumeRecord = z.output<typeof volumeRecord>;
