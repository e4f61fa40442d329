import fc from 'fast-check';
import { DriverError } from '../../../src/model/fault.ts';
import type { FileKey } from '../../../src/model/ids.ts';
import type { Driver } from '../../../src/service/driver.ts';
import type { CompactionOptions } from '../../../src/service/host.ts';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import type { Personality } from '../../../src/simulator/core/personality.ts';
import { clusterWithRoot, from, serverOn, snap, spec, type Cluster } from '../memory/driver.ts';
import { allow, attach, quiet } from '../memory/world.ts';
import { cutOf, isCut, type Model, type Step, type Outcome } from './tree-model.ts';
import { fileOf, living } from '../memory/truth.ts';

/** How the GPFS of one sequence behaves, and how its drivers are configured. */
export interface Setting {
  readonly redirectParent: boolean;
  readonly deleteWindowMs: number;
  readonly attached: CompactionOptions['attached'];
  readonly maxCloneDepth: string;
}

export const anySetting: fc.Arbitrary<Setting> = fc.record({
  redirectParent: fc.boolean(),
  deleteWindowMs: fc.constantFrom(0, 0, 500),
  attached: fc.constantFrom('auto' as const, 'never' as const),
  maxCloneDepth: fc.constantFrom('0', '0', '1', '2'),
});

/** Two servers of one cluster, each of which may die and start again. */
export interface Play {
  readonly gpfs: Cluster;
  readonly setting: Setting;
  readonly servers: [Driver, Driver];
  readonly root: string;
  readonly model: Model;
}

const nodes = ['a1', 'b1'] as const;

const start = (gpfs: Cluster, setting: Setting, which: 0 | 1): Driver =>
  serverOn(gpfs.server(nodes[which]), nodes[which], {
    compaction: { attached: setting.attached },
  });

export async function newPlay(setting: Setting): Promise<Play> {
  const { redirectParent, deleteWindowMs } = setting;
  const personality: Partial<Personality> = { redirectParent, deleteWindowMs };
  const gpfs = await clusterWithRoot({ personality });
  const servers: [Driver, Driver] = [start(gpfs, setting, 0), start(gpfs, setting, 1)];
  const [store] = await servers[0].roots.all();
  await servers[1].roots.all();
  await allow({ driver: servers[0] }, { redirectParent, redirectAttached: true });
  await quiet(gpfs);
  const model = { volumes: new Map(), snapshots: new Map() };
  return { gpfs, setting, servers, root: store?.id ?? '', model };
}

function ask(play: Play, driver: Driver, step: Step): Promise<unknown> {
  const id = `${play.root}.${step.name}`;
  switch (step.action) {
    case 'create':
      return driver.volumes.create(specOf(play, step));
    case 'remove':
      return driver.volumes.remove(id);
    case 'cut':
      return driver.snapshots.create(snap(cutOf(step), { id }));
    case 'uncut':
      return driver.snapshots.remove(`${play.root}.${cutOf(step)}`);
    case 'grow':
      return driver.volumes.expand(id, grown(play, step), undefined);
    case 'write':
      return write(play, driver, step);
    case 'attach':
      return driver.attachments.publish(attach(id, step.node));
    case 'detach':
      return driver.attachments.unpublish(id, '');
    case 'move':
      return move(play, driver, step);
    case 'work':
      return driver.worker.round();
  }
}

const specOf = ({ root, setting }: Play, { name, of }: Step) => {
  const parameters = { maxCloneDepth: setting.maxCloneDepth };
  if (of === '') return spec(name, { parameters });
  const source = from(isCut(of) ? 'snapshot' : 'volume', { id: `${root}.${of}` });
  return spec(name, { source, range: undefined, parameters });
};

const grown = ({ model }: Play, { name }: Step) => ({
  requiredBytes: BigInt(model.volumes.get(name)?.mebibytes ?? 0) << 20n,
  limitBytes: 0n,
});

/** What the node writes that has the volume; the model knows it already. A volume that no node has is attached first. */
async function write({ gpfs, model, root }: Play, driver: Driver, { name, block }: Step) {
  const volume = model.volumes.get(name);
  await driver.attachments.publish(attach(`${root}.${name}`, volume?.node));
  if (!volume) return;
  const path = fileOf(gpfs, living(gpfs).get(`volumes/${name}`) ?? '');
  gpfs.write(path, block, volume.blocks.get(block) ?? '');
}

/** Whatever node has the volume is lost, with its mark on the image; another one gets it. */
async function move({ gpfs, root }: Play, driver: Driver, { name, node }: Step) {
  const id = `${root}.${name}`;
  await driver.attachments.unpublish(id, '');
  const [store] = await driver.roots.all();
  const key = living(gpfs).get(`volumes/${name}`);
  const lost = { ...driver.host.self, node: 'lost1' };
  if (key !== undefined) await store?.marks.set(key as FileKey, lost);
  await driver.attachments.publish(attach(id, node));
}

const outcomeOf = (work: Promise<unknown>): Promise<Outcome> =>
  work.then(
    () => 'ok',
    (error: unknown) => {
      if (error instanceof DriverError) return error.fault.kind;
      throw error;
    },
  );

/** Asks until the answer is not that the object is busy: what a caller does. What counts is the last answer. */
export async function perform(play: Play, step: Step): Promise<Outcome> {
  const { gpfs, servers, setting } = play;
  const view = gpfs.server(nodes[step.server]);
  if (step.breaks > 0) {
    if (step.dies) view.crashAt(step.breaks, step.when);
    else view.failAt(step.breaks, step.when);
    await Promise.allSettled([ask(play, servers[step.server], step)]);
    await quiet(gpfs);
    const died = view.crashed;
    view.heal();
    if (died) {
      servers[step.server] = start(gpfs, setting, step.server);
      await servers[step.server].roots.all();
      await quiet(gpfs);
    }
  }
  let answer = await outcomeOf(ask(play, servers[step.server], step));
  for (let again = 0; answer === 'busy' && again < 3; again++) {
    await quiet(gpfs);
    gpfs.clock.tick(goneAfterMs + 1);
    for (const server of servers) await server.host.claims.retry();
    answer = await outcomeOf(ask(play, servers[step.server], step));
  }
  return answer;
}
