import { isMultiNode, type AccessMode } from '../../../model/capability.ts';
import { DriverError } from '../../../model/fault.ts';
import type { NodeRecord, Target } from './records.ts';

const severalTargets = (mode: AccessMode): boolean =>
  isMultiNode(mode) || mode === 'SINGLE_NODE_MULTI_WRITER';

/**
 * The target to publish at: a new one, or the existing one when the arguments are the same. Throws
 * used-differently for other arguments, and wrong-state where the mode allows one target only.
 */
export function targetFor(record: NodeRecord, wanted: Target): Target {
  const { volumeId, targets } = record;
  const same = targets.find(({ path }) => path === wanted.path);
  if (same) {
    if (same.readonly === wanted.readonly && same.capability === wanted.capability) return same;
    throw new DriverError(
      'used-differently',
      `volume ${volumeId} is published at ${JSON.stringify(wanted.path)} already, with other arguments; delete the pod that has it there, then try again`,
    );
  }
  const alone = [wanted, ...targets].find(({ mode }) => !severalTargets(mode));
  const [first] = targets;
  if (first && alone)
    throw new DriverError(
      'wrong-state',
      `volume ${volumeId} is published at ${JSON.stringify(first.path)}, and ${alone.mode} allows one place only; unpublish it there first`,
    );
  return wanted;
}
