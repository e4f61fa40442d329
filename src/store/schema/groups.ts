import { z } from 'zod';
import { claim } from './claim.ts';
import { format, kubernetesName, localId, state, timeMs } from './data.ts';

/** One volume of a group, and the snapshot that is taken of it. */
const member = z.looseObject({ volume: localId, snapshot: localId });

/** Snapshots that belong together: written before the first is taken, so that any server can undo them. */
export const groupRecord = z.looseObject({
  format,
  id: localId,
  name: z.string(),
  /** The VolumeGroupSnapshot that it was taken for. */
  kubernetes: kubernetesName.optional(),
  state,
  /** Names the try that its members were taken in; a snapshot of another try does not count. */
  attempt: z.string(),
  members: z.array(member).readonly(),
  createdMs: timeMs,
  deletedMs: timeMs.optional(),
  claim: claim.nullable(),
});
export type GroupRecord = z.output<typeof groupRecord>;
