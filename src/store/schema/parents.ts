import { z } from 'zod';
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
} from './data.ts';
import { history } from './history.ts';

/** The name of an image, and the format that it was imported from. */
const goldenImage = z.looseObject({
  name: z.string(),
  format: z.enum(['raw', 'qcow2']),
});

/** The group that a snapshot was taken with, and in which try. */
const groupOfSnapshot = z.looseObject({ id: localId, attempt: z.string() });

export const snapshotRecord = z.looseObject({
  format,
  id: localId,
  name: z.string(),
  /** The VolumeSnapshot that it was taken for, or the VolumeGroupSnapshot with which it was taken. */
  kubernetes: kubernetesName.optional(),
  state,
  /** Local id of the volume it was taken from, which may be gone by now. */
  volume: localId,
  /** The handle of that volume where it was moved here from another root. */
  handle: publicIdText.optional(),
  /** A golden image: its file was imported, not taken from a volume. */
  golden: goldenImage.optional(),
  group: groupOfSnapshot.optional(),
  sectorBytes: sectorBytes.optional(),
  /** Of a golden image with small sectors: whether its import found direct I/O in these on a clone of it. */
  cloneDirectIo: z.boolean().optional(),
  bytes,
  file: dataFile.nullable(),
  parent: key.nullable(),
  depth: count.optional(),
  content,
  attributes,
  createdMs: timeMs,
  deletedMs: timeMs.optional(),
  claim: claim.nullable(),
  history,
});
export type SnapshotRecord = z.output<typeof snapshotRecord>;

/** A clone parent that no caller can name: of a volume-to-volume clone, or of a deleted snapshot (tombstone). */
export const hiddenRecord = z.looseObject({
  format,
  id: key,
  why: z.enum(['clone', 'tombstone']),
  state: z.enum(['waiting', 'removing']),
  /** The claim that it was cut off, or the snapshot that it was. */
  kubernetes: kubernetesName.optional(),
  /** The directory the file lies in. */
  data: z.enum(['snapshots', 'hidden']),
  parent: key.nullable(),
  sectorBytes: sectorBytes.optional(),
  depth: count.optional(),
  bytes,
  content,
  createdMs: timeMs,
  claim: claim.nullable().default(null),
});
export type HiddenRecord = z.output<typeof hiddenRecord>;
