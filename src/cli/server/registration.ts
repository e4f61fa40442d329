import type { Gpfs } from '../../gpfs/commands.ts';
import type { RootId } from '../../model/ids.ts';
import type { Log } from '../../observe/log.ts';
import { keepRegistered, type Registration } from '../../server/registration.ts';
import type { TrackedTopology } from '../../service/roots/topology.ts';
import type { Config } from '../command/config.ts';
import { whyNotOnThisNode } from './installed.ts';

/** Registers the driver with the kubelet; with topology, only once it is known which roots this node has. */
export function openRegistration(
  { registration, driverName, mmDirectory }: Config,
  gpfs: Gpfs,
  log: Log,
  topology: TrackedTopology | undefined,
): Registration | undefined {
  if (!registration) return undefined;
  const whyNot = async () => {
    // The kubelet asks for the topology of this node as soon as the driver is registered.
    await topology?.updated();
    return whyNotOnThisNode(gpfs, mmDirectory);
  };
  return keepRegistered({ ...registration, driverName, whyNot, log });
}

/** Registers again when this node has other roots than the kubelet knows: it asks only at a registration. */
export function reportingTopology(
  topology: TrackedTopology | undefined,
  registration: Registration | undefined,
  log: Log,
): (usable: readonly RootId[]) => void {
  return (usable) => {
    if (!topology?.update(usable)) return;
    const what = 'this node has other roots than the kubelet knows';
    registration?.again();
    if (registration) log.info({ usable }, `${what}; registering again`);
    else
      log.warn({ usable }, `${what}; restart the driver's pod on this node, so that it asks again`);
  };
}
