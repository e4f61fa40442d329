import { readFile } from 'node:fs/promises';
import { DriverError } from '../../model/fault.ts';
import type { Nonce } from '../../run/clock.ts';
import type { Self } from '../../store/nodes.ts';
import type { Config } from '../command/config.ts';

/** Where to read who this process is. */
export type Who = Pick<Config, 'nodeId' | 'machineIdPath' | 'bootIdPath' | 'maxVolumesPerNode'>;

/** Who this process is: the node's name, the machine and boot under it, and a name of its own. */
export async function readSelf(config: Who, version: string, nonce: Nonce): Promise<Self> {
  return {
    node: config.nodeId,
    machineId: await readId(config.machineIdPath, 'machine id'),
    bootId: await readId(config.bootIdPath, 'boot id'),
    instance: `${nonce()}${nonce()}`,
    version,
    maxVolumes: config.maxVolumesPerNode,
  };
}

async function readId(path: string, what: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new DriverError(
      'misconfigured',
      `the ${what} of this node cannot be read from ${path}`,
      error,
    );
  });
  const id = text.trim();
  if (/^[0-9A-Za-z-]{1,64}$/.test(id)) return id;
  throw new DriverError(
    'misconfigured',
    `${path} holds no ${what}; without one a reboot cannot be told from a stall`,
  );
}
