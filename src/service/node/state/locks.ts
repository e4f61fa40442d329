import { DriverError } from '../../../model/fault.ts';

/** A volume that no other operation on this node works on until this is disposed. */
interface HeldVolume extends Disposable {
  readonly id: string;
}

/** Refuses a second operation on a volume while one is under way on this node. */
export type VolumeLocks = (id: string) => HeldVolume;

/** Locks of one process. Only one process uses a state directory, so the locks of one process are enough. */
export function volumeLocks(): VolumeLocks {
  const held = new Set<string>();
  return (id) => {
    if (held.has(id))
      throw new DriverError(
        'busy',
        `another operation on volume ${id} is under way on this node; ask again when it has ended`,
      );
    held.add(id);
    return {
      id,
      [Symbol.dispose]: () => {
        held.delete(id);
      },
    };
  };
}
