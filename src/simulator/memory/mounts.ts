import type { Mount, Mounts } from '../../run/mounts.ts';
import { ServerCrashed, type Faults } from '../core/faults.ts';
import type { MemoryGround } from './ground.ts';
import { isMounted } from '../core/personality.ts';

const rootMount: Mount = {
  id: 21,
  parent: 1,
  device: '0:8',
  root: '/',
  point: '/',
  options: ['rw', 'relatime'],
  type: 'ext4',
  source: '/dev/vda1',
  superOptions: ['rw'],
  shared: true,
};

/** The mounts of a node: its own disk, and GPFS while that is mounted. Reading them counts as no call. */
export function memoryMounts(
  ground: MemoryGround,
  server: string,
  faults: Pick<Faults, 'crashed'>,
): Mounts {
  const gpfs = (): Mount => ({
    id: 47,
    parent: 21,
    device: '0:47',
    root: '/',
    point: ground.mountPoint,
    options: ['rw', 'relatime'],
    type: 'gpfs',
    superOptions: ['rw'],
    shared: true,
    source: ground.personality.release === '4.1' ? `/dev/${ground.device}` : ground.device,
  });
  return async () => {
    await Promise.resolve();
    if (faults.crashed) throw new ServerCrashed(server);
    return isMounted(ground.personality) ? [rootMount, gpfs()] : [rootMount];
  };
}
