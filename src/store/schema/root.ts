import { z } from 'zod';
import { count, format, key, rootId, timeMs, words } from './data.ts';

/** The name of a thing of GPFS, which becomes an argument of mm commands: no option, and no path. */
const argument = z.string().regex(/^[^-/\s\p{Cc}][^/\s\p{Cc}]{0,254}$/u, 'a name is none of GPFS');

export const rootFile = z.looseObject({
  format,
  rootId,
  clusterId: words,
  fileSystem: argument,
  fileset: argument,
  owner: words,
  createdMs: timeMs,
});
export type RootFile = z.output<typeof rootFile>;

/** What each server writes about itself at start; its modification time is the heartbeat. */
export const nodeFile = z.looseObject({
  format,
  node: z.string(),
  machineId: z.string(),
  bootId: z.string(),
  instance: z.string(),
  version: z.string(),
  maxVolumes: count,
  /** When this server registered; one of an older version does not say so. */
  startedMs: timeMs.optional(),
});
export type NodeFile = z.output<typeof nodeFile>;

/**
 * What a server last found wrong, in a file of its own: the node file says who the server is, and nothing that runs later
 * may write it. Bounded, for it is read on every node.
 */
export const healthFile = z.looseObject({
  format,
  node: z.string(),
  /** The process that found it; another one has not looked yet. */
  instance: z.string(),
  foundMs: timeMs,
  problems: z.array(z.looseObject({ what: z.string().max(64), says: z.string().max(400) })).max(8),
});
export type HealthFile = z.output<typeof healthFile>;

/** Kept by a node as long as it may have the image open. */
export const markFile = z.looseObject({
  format,
  node: z.string(),
  machineId: z.string(),
  bootId: z.string(),
  image: key,
  sinceMs: timeMs,
});
export type MarkFile = z.output<typeof markFile>;

/** What the probe of a root found out; see model/abilities.ts. A field that it did not settle is absent. */
export const abilitiesFile = z.looseObject({
  format,
  /** The node, the driver version, the format of the file system, and the time of the probe. */
  node: z.string(),
  version: z.string(),
  release: z.string().optional(),
  probedMs: timeMs,
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
        ms: timeMs,
        why: z.string().optional(),
      }),
    )
    .optional(),
  /** How long each command took, in ms. */
  latencyMs: z.record(z.string(), timeMs).optional(),
});
