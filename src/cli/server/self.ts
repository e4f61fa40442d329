import type { Nonce } from '../../run/clock.ts';
import type { Self } from '../../store/nodes.ts';
import type { Config } from '../command/config.ts';
import { readMachineIds, type MachinePaths } from '../command/machine.ts';

/**
 * The identity of this process: the name of its node, the machine, the boot, and a name that no other process has.
 * Throws misconfigured where the ids cannot be read.
 */
export async function readSelf(
  config: MachinePaths & Pick<Config, 'maxVolumesPerNode'>,
  version: string,
  nonce: Nonce,
): Promise<Self> {
  return {
    node: config.nodeId,
    ...(await readMachineIds(config)),
    instance: `${nonce()}${nonce()}`,
    version,
    maxVolumes: config.maxVolumesPerNode,
  };
}
