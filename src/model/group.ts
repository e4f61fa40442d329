import { DriverError } from './fault.ts';
import { localIdOf, type LocalId } from './ids.ts';

/** How long all snapshots of a group may take together: the rest of the ten seconds of a freeze once nodes answered. */
const cuttingMs = 5_000;

/** Snapshots of a group that are taken at once. */
export const cutsAtOnce = 2;

/** How long a command of GPFS takes, before one was measured. */
const usualCommandMs = 300;

/** How many volumes can be snapshotted within a freeze, where a command takes this long. */
export const mostMembers = (commandMs = usualCommandMs): number =>
  Math.max(1, Math.floor((cuttingMs * cutsAtOnce) / Math.max(commandMs, usualCommandMs)));

/**
 * Throws limit-reached for a group that is too large for a freeze. Fast commands do not raise the limit: the records
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
