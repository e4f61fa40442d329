import type { Nonce } from '../../run/clock.ts';
import type { Self } from '../../store/nodes.ts';
import type { Config } from '../command/config.ts';
import { readMachineIds, type MachinePaths } from '../command/machine.ts';

/** Who this process is: the node's name, the machine and boot under it, and a name of its own. */
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
