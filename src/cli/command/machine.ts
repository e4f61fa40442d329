import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DriverError } from '../../model/fault.ts';
import { findSimulator } from '../../simulator/disk/lifecycle/find.ts';
import type { Config } from './config.ts';

/** Where the ids of this machine and of its boot are. */
export type MachinePaths = Pick<Config, 'nodeId' | 'mmDirectory' | 'machineIdPath' | 'bootIdPath'>;

/** The driver sees by these whether a node was rebooted, stalls, or is another machine of the same name. */
export interface MachineIds {
  readonly machineId: string;
  readonly bootId: string;
}

/** Reads both ids. Throws misconfigured when a real node lacks one. */
export async function readMachineIds(paths: MachinePaths): Promise<MachineIds> {
  return {
    machineId: await readMachineId(paths),
    bootId: await readId(paths.bootIdPath, {
      unreadable: 'the boot id of this node cannot be read from',
      missing: 'holds no boot id, without which a reboot cannot be told from a stall',
      remedy: 'mount /proc, or set --boot-id-path',
    }),
  };
}

/** Containers have no machine id; a simulated GPFS is on one machine, so there the name of the node is enough. */
async function readMachineId({
  mmDirectory,
  machineIdPath,
  nodeId,
}: MachinePaths): Promise<string> {
  try {
    return await readId(machineIdPath, {
      unreadable: 'the machine id of this node cannot be read from',
      missing: 'holds no machine id, without which a reboot cannot be told from a stall',
      remedy:
        'make one with systemd-machine-id-setup, or name the file that holds it by --machine-id-path',
    });
  } catch (error) {
    if (findSimulator(mmDirectory) === undefined) throw error;
    return createHash('sha256').update(nodeId).digest('hex').slice(0, 32);
  }
}

/** What an id that is not there means, for the message. */
interface Sentences {
  /** Before the path. */
  readonly unreadable: string;
  /** Behind the path. */
  readonly missing: string;
  readonly remedy: string;
}

async function readId(path: string, { unreadable, missing, remedy }: Sentences): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new DriverError('misconfigured', `${unreadable} ${path}: ${remedy}`, error);
  });
  const id = text.trim();
  if (/^[0-9A-Za-z-]{1,64}$/.test(id)) return id;
  throw new DriverError('misconfigured', `${path} ${missing}: ${remedy}`);
}
