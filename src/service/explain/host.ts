import type { Losetup } from '../../linux/losetup.ts';
import type { Forest, ForestNode } from '../../model/forest/forest.ts';
import type { Clock } from '../../run/clock.ts';
import type { Mounts } from '../../run/mounts.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeRecord } from '../node/state/records.ts';

/** What an explanation is made from. */
export interface ExplainHost {
  /** The roots that can be read now. */
  readonly stores: readonly RootStore[];
  /** Why others cannot be read, a sentence each. */
  readonly away: readonly string[];
  /** The name of this node. */
  readonly node: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly mounts: Mounts;
  readonly losetup: Pick<Losetup, 'loopsOf' | 'isAttached'>;
  /** What this node has of volumes, as it was written. */
  readonly records: readonly NodeRecord[];
  /** Where the record of a volume lies on this node. */
  readonly recordPath: (volumeId: string) => string;
  /** The clone forest of a root, read once. */
  readonly forest: (store: RootStore) => Promise<Forest<ForestNode>>;
}
