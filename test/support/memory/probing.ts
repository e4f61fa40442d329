import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { StartingProbe } from '../../../src/service/probe/probe.ts';
import type { Cluster, View } from './driver.ts';

/** The host of a probe on one view, as a new instance for each start. */
export const probeOn = (
  view: View,
  node = 'a1',
  rest: Partial<StartingProbe['self']> = {},
): StartingProbe => {
  const { clone, fs } = gpfsCommands(view.run);
  const { trials, clock, nonce } = view;
  const self = { node, instance: view.nonce(), version: '0.0.0-test', ...rest };
  return { clone, fs, trials, clock, nonce, log: silentLog, self };
};

/** Files that a probe has left behind. */
export const probeFiles = (gpfs: Cluster): readonly string[] =>
  gpfs.paths().filter((path) => path.includes('/.gpfs-csi/probe/'));
