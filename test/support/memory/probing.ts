import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { StartingProbe } from '../../../src/service/probe/probe.ts';
import type { Cluster, View } from './driver.ts';

/** What a probe on one view stands on; a new instance for each start. */
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

/** What a probe has left of its own files. */
export const probeFiles = (gpfs: Cluster): readonly string[] =>
  gpfs.paths().filter((path) => path.includes('/.gpfs-csi/probe/'));
