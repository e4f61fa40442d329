// A driver in its own process. It prints the name of a step of a call, and the test kills it there with SIGKILL. It
// ends with status 0 when the call has fewer steps.
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostMounts } from '../../../src/run/host-files.ts';
import { nodeVolumes } from '../../../src/service/node/node.ts';
import type { RootId } from '../../../src/model/ids.ts';
import { make, rootsIn, type Call, type Used } from './calls.ts';
import { mortal, type Death } from './mortal.ts';

/** What the victim gets in its only argument; maps do not survive JSON, and these are empty. */
export interface Order extends Death {
  readonly directory: string;
  readonly rootId: RootId;
  readonly self: Parameters<typeof nodeVolumes>[0]['self'];
  readonly call: Call;
  readonly used: Used;
}

const order = JSON.parse(process.argv[2] ?? '') as Order;
const { directory, rootId, self, call, used } = order;
const die = (step: string): never => {
  writeSync(1, step);
  process.kill(process.pid, 'SIGKILL');
  throw new Error('still alive');
};
const alive = setInterval(() => undefined, 1_000);
const { ports } = mortal(hostRun({ mmDirectory: '/nonexistent' }), order, die);
const node = nodeVolumes({
  ...ports,
  self,
  mounts: hostMounts(),
  clock: systemClock,
  roots: rootsIn(directory, rootId, ports.files),
  stateDirectory: join(directory, 'state'),
  kubeletDirectory: join(directory, 'kubelet'),
});
const nothing = new Map<string, string>();
const ask = { ...used.ask, publishContext: nothing, volumeContext: nothing };
await make(node, call, { ...used, ask });
clearInterval(alive);
