import { z } from 'zod';
import { count, format, timeMs } from './data.ts';

/** Which server works on the queue of a root: for economy, not for correctness. Valid while that server is alive. */
export const leaseRecord = z.looseObject({
  format,
  node: z.string(),
  instance: z.string(),
  sinceMs: timeMs,
  released: z.boolean(),
  /** When the root was last swept, by the server that had the lease then. */
  sweptMs: timeMs.optional(),
});
export type LeaseRecord = z.output<typeof leaseRecord>;

/** Why an item of the queue was put off, and until when. An item that never was is an empty file. */
export const queueItem = z.looseObject({
  format,
  tries: count,
  untilMs: timeMs,
  why: z.string(),
  /** The server that is at work on it. */
  instance: z.string().optional(),
});
export type QueueItem = z.output<typeof queueItem>;
