import { DriverError } from './fault.ts';
import { localIdOf, type LocalId } from './ids.ts';

/** How long all cuts of a group may take together: what a freeze leaves of its ten seconds once it was answered. */
const cuttingMs = 5_000;

/** Cuts of a group at once. */
export const cutsAtOnce = 2;

/** A command of GPFS where nobody measured one. */
const usualCommandMs = 300;

/** How many volumes can be cut in the time of a freeze, for so long a command. */
export const mostMembers = (commandMs = usualCommandMs): number =>
  Math.max(1, Math.floor((cuttingMs * cutsAtOnce) / Math.max(commandMs, usualCommandMs)));

/**
 * Throws limit-reached for a group that could not be cut in time. Fast commands do not raise the limit: the records
 * of a snapshot take their time as well.
 */
export function requireCuttableInTime(members: number, commandMs: number | undefined): void {
  const most = mostMembers(commandMs);
  if (members <= most) return;
  const because =
    most === mostMembers()
      ? ''
      : `, as mmclone snap took ${commandMs ?? 0} ms when this GPFS was probed`;
  throw new DriverError(
    'limit-reached',
    `a group of ${members} volumes cannot be cut while file systems are frozen: ${most} are the most${because}; make smaller groups`,
  );
}

/**
 * The id of the snapshot of one volume in a group. The NUL between the two is in no name that a caller may give, so
 * that no other snapshot can have this id.
 */
export const memberId = (group: LocalId, volume: LocalId): LocalId =>
  localIdOf(`${group}\0${volume}`);

/** Whether two lists name the same, in any order. */
export const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length &&
  a.every((each) => b.includes(each)) &&
  b.every((each) => a.includes(each));
