import type { Gpfs } from '../gpfs/commands.ts';
import type { FileKey } from '../model/ids.ts';
import type { FileAttributes } from '../model/parameters.ts';
import type { Log } from '../observe/log.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import type { Self } from '../store/nodes.ts';
import type { RootStore } from '../store/root.ts';
import type { Claims } from './claims.ts';
import type { Roots } from './roots.ts';

/** The mm commands that make volumes. */
export type VolumeCommands = Pick<Gpfs, 'clone' | 'setAttributes'>;

/** What the controller's operations stand on. */
export interface ServiceHost {
  readonly roots: Roots;
  readonly self: Self;
  readonly claims: Claims;
  readonly commands: VolumeCommands;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly log: Log;
  /** Clone parents that GPFS did not let go of; tried again at each round of maintenance. */
  readonly refused: Map<FileKey, RootStore>;
  /** What a class that says nothing else gets. */
  readonly defaults: FileAttributes;
  /** Throws invalid-request for a pool that the root's file system does not have. */
  readonly requirePool: (store: RootStore, pool: string) => Promise<void>;
}
