import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { Capability } from '../../../src/model/capability.ts';
import { DriverError } from '../../../src/model/fault.ts';
import { processesWith } from '../disk/processes.ts';
import { calls, make, type Call, type Used } from './calls.ts';
import { isCommand, type Death } from './mortal.ts';
import { blockAs, mountAs, stageAsk } from './requests.ts';
import { run, type Ground, type Ready } from './ground.ts';

/** A kind of use; each has its own steps. */
export interface Kind {
  readonly name: string;
  readonly capability: Capability;
  /** Published read-only. */
  readonly readonly?: boolean;
  /** What there is before its life begins. */
  readonly make: (ground: Ground, capability: Capability) => Promise<Begun>;
}

const small = 320n * MiB;
const large = 640n * MiB;

/** A volume at the start of a life; `data`: it has a file system with a file `kept`. */
type Begun = Ready & { readonly data: boolean };

const empty = async (ground: Ground, capability: Capability): Promise<Begun> => ({
  ...(await ground.ready(capability, small)),
  data: false,
});

const own = (name: string, capability: Capability): Kind => ({ name, capability, make: empty });

/** The kinds of use that a volume can have. */
export const kinds: readonly Kind[] = [
  ...['ext4', 'xfs', 'btrfs'].map((type) => own(type, mountAs(type))),
  ...['ext4', 'xfs', 'btrfs'].map((type) => ({
    ...own(`larger ${type}`, mountAs(type)),
    make: larger,
  })),
  { ...own('read-only ext4', mountAs('ext4')), readonly: true },
  own('block', blockAs()),
  { ...own('read-only block', blockAs()), readonly: true },
  own('readers of block', blockAs('MULTI_NODE_READER_ONLY')),
  ...['ext4', 'xfs', 'btrfs'].map((type) => ({
    ...own(`readers of ${type}`, mountAs(type, 'MULTI_NODE_READER_ONLY')),
    make: dirty,
  })),
];

/** A volume whose file system is smaller than its image, as after a restore into a larger one. */
async function larger(ground: Ground, capability: Capability): Promise<Begun> {
  const ready = await ground.ready(capability, small);
  await ground.node.stage(ready.ask);
  await writeFile(join(ready.ask.stagingPath, 'kept'), 'data', { flush: true });
  await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  await ground.grow(ready.volume, 480n * MiB);
  return { ...ready, data: true };
}

/** A clone of a mounted file system, for several nodes to read: its data is in a journal that no node has replayed. */
async function dirty(ground: Ground, capability: Capability): Promise<Begun> {
  const { access } = capability;
  const { volume, ask } = await ground.ready(
    mountAs('fsType' in access ? access.fsType : ''),
    small,
  );
  await ground.node.stage(ask);
  await writeFile(join(ask.stagingPath, 'kept'), 'data', { flush: true });
  const clone = await ground.clone(volume, `${volume.local}-clone`, small);
  await ground.node.unstage(volume.id, ask.stagingPath);
  await ground.attach(clone, capability, true);
  const staging = await ground.place(`${clone.local}-staging`);
  const pod = join(await ground.place(`${clone.local}-pod`), 'target');
  return { volume: clone, ask: stageAsk(clone, staging, capability), pod, data: true };
}

/** Breaks one call; `patience`: how often the call may be refused afterwards before it succeeds. */
export interface Breaking {
  readonly call: Call;
  readonly patience?: number;
  readonly once: (used: Used) => Promise<void>;
}

/** The life of a volume in which one call breaks and a new driver repeats it; nothing may be left at its end. */
export async function life(
  ground: Ground,
  { capability, readonly = false, make: makeReady }: Kind,
  { call, once, patience = 0 }: Breaking,
): Promise<void> {
  const ready = await makeReady(ground, capability);
  const used = { ask: ready.ask, target: ready.pod, readonly };
  const isPartOf = (each: Call) => each === call || !['expand', 'stats'].includes(each);
  for (const each of calls.filter(isPartOf)) {
    await before(ground, ready, each);
    if (each === call) await once(used);
    await askAgain(() => make(ground.restarted(), each, used), patience);
    if (each === 'stage') expect(await ground.loops()).toHaveLength(1);
    if (each === 'publish') await expectKept(ready);
  }
  await expectNothing(ground, ready);
  // Some thousand lives follow each other, and no later one uses an image of an earlier one.
  await run(['find', join(ground.store.layout.root, 'volumes'), '-type', 'f', '-delete'], 'write');
}

/** What must be so before a call. */
async function before(ground: Ground, { volume }: Ready, call: Call): Promise<void> {
  if (call === 'expand') await ground.grow(volume, large);
  // A command of a dead driver that outlives even the end of the volume's use would attach a device to nothing.
  if (call === 'unstage') await commandsEnded(ground);
}

/** Resolves when no command runs that names a file of this ground. */
async function commandsEnded({ directory }: Ground): Promise<void> {
  while (processesWith((line) => line.includes(directory)).length > 0) await sleep(10);
}

async function expectKept({ pod, data }: Begun): Promise<void> {
  if (data) expect(await readFile(join(pod, 'kept'), 'utf8')).toBe('data');
}

/** Expects no mount, device, mark, target or file of the node, half-written files included. */
async function expectNothing(ground: Ground, { volume, pod }: Ready): Promise<void> {
  expect(await ground.leaks()).toEqual([]);
  const state = await run(['find', join(ground.directory, 'state'), '-type', 'f'], 'read');
  expect(state.split('\n').filter((path) => path.includes(volume.local))).toEqual([]);
  expect(await run(['find', pod], 'read').catch(() => 'nothing')).toBe('nothing');
}

/** Repeats a call as the kubelet does; an error that is not an answer of the driver is a defect. */
async function askAgain(ask: () => Promise<void>, patience: number): Promise<void> {
  for (let left = patience; ; left -= 1) {
    try {
      await ask();
      return;
    } catch (error) {
      if (left === 0 || !(error instanceof DriverError)) throw error;
      await sleep(50);
    }
  }
}

/**
 * Kills a driver before each step of a call and while each of its commands runs, one life for each death, until no
 * further step comes; resolves to the number of deaths. `kill` resolves to the step that the driver died at, if it
 * reached it. The steps are found, not listed. Their number varies a little, as a directory may exist already.
 */
export async function dieEverywhere(
  ground: Ground,
  kind: Kind,
  call: Call,
  kill: (used: Used, death: Death) => Promise<string | undefined>,
): Promise<number> {
  const count = { deaths: 0, unreached: 0 };
  const die = async (death: Death): Promise<string> => {
    let step: string | undefined;
    const once = async (used: Used) => {
      step = await kill(used, death);
    };
    // A command that outlives its driver ends by itself.
    await life(ground, kind, { call, once, patience: death.when === 'during' ? 200 : 0 });
    if (step !== undefined) count.deaths += 1;
    return step ?? '';
  };
  for (let at = 1; count.unreached < 3; at += 1) {
    const step = await die({ at, when: 'before' });
    if (step === '') count.unreached += 1;
    else count.unreached = 0;
    if (isCommand(step)) await die({ at, when: 'during' });
  }
  return count.deaths;
}
