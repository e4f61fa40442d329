import type { Gpfs } from '../../gpfs/commands.ts';
import type { RootId } from '../../model/ids.ts';
import type { Log } from '../../observe/log.ts';
import { keepRegistered, type Registration } from '../../server/registration.ts';
import type { TrackedTopology } from '../../service/roots/topology.ts';
import type { Config } from '../command/config.ts';
import { whyNotOnThisNode } from './installed.ts';

/** Offers the driver to the kubelet, once it is known which roots this node has, where that is told. */
export function openRegistration(
  { registration, driverName, mmDirectory }: Config,
  gpfs: Gpfs,
  log: Log,
  topology: TrackedTopology | undefined,
): Registration | undefined {
  if (!registration) return undefined;
  const whyNot = async () => {
    // The kubelet asks for the roots of this node at once.
    await topology?.updated();
    return whyNotOnThisNode(gpfs, mmDirectory);
  };
  return keepRegistered({ ...registration, driverName, whyNot, log });
}

/** Has the kubelet ask anew when this node has other roots than it knows: it asks only when it registers a driver. */
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
