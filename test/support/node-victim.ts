// A driver in a process of its own, which is killed with SIGKILL at its n-th effect on the machine.
import { join } from 'node:path';
import type { Capability } from '../../src/model/capability.ts';
import type { LocalId } from '../../src/model/ids.ts';
import { randomNonce, systemClock } from '../../src/run/clock.ts';
import { hostRun } from '../../src/run/host.ts';
import { hostFiles, hostMounts } from '../../src/run/hostfiles.ts';
import { nodeVolumes } from '../../src/service/node/nodevolumes.ts';
import { openRoot } from '../../src/store/root.ts';
import { mortal } from './mortal.ts';

interface Order {
  readonly directory: string;
  readonly self: Parameters<typeof nodeVolumes>[0]['self'];
  readonly step: 'stage' | 'publish' | 'unpublish' | 'unstage';
  readonly id: string;
  readonly stagingPath: string;
  readonly target: string;
  readonly capability: Capability;
  readonly at: number;
  readonly when: 'before' | 'after';
}

const order = JSON.parse(process.argv[2] ?? '') as Order;
const { directory, id, stagingPath, target, capability } = order;
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('still alive');
};
const alive = setInterval(() => undefined, 1_000);
const host = { files: hostFiles(), mounts: hostMounts(), clock: systemClock, nonce: randomNonce };
const facts = { clusterId: 'c', fileSystem: 'fs', fileset: 'root', owner: 'o' };
const store = await openRoot(join(directory, 'shared', 'root'), facts, {
  ...host,
  mountType: 'xfs',
});
const { ports } = mortal(hostRun({ mmDirectory: '/nonexistent' }), order.at, order.when, die);
const node = nodeVolumes({
  ...host,
  ...ports,
  self: order.self,
  roots: {
    byId: () => Promise.resolve({ store, local: id.slice(store.id.length + 1) as LocalId }),
  },
  stateDirectory: join(directory, 'state'),
  kubeletDirectory: join(directory, 'kubelet'),
});
const nothing = new Map<string, string>();
const stage = { id, stagingPath, capability, publishContext: nothing, volumeContext: nothing };
const steps = {
  stage: () => node.stage(stage),
  publish: () => node.publish({ ...stage, targetPath: target, readonly: true }),
  unpublish: () => node.unpublish(id, target),
  unstage: () => node.unstage(id, stagingPath),
};
await steps[order.step]();
clearInterval(alive);
