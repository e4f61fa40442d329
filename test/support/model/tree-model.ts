import fc from 'fast-check';
import type { When } from '../../../src/simulator/core/faults.ts';

/** What users should see, whatever files, records, servers and failures there are. Content is by block. */
export interface Model {
  readonly volumes: Map<string, ModelVolume>;
  readonly snapshots: Map<string, ModelSnapshot>;
}

interface ModelVolume {
  readonly blocks: Map<number, string>;
  mebibytes: number;
  source: string;
  node: string;
}

interface ModelSnapshot {
  readonly blocks: ReadonlyMap<number, string>;
  readonly mebibytes: number;
  readonly of: string;
}

const actions = [
  ...(['create', 'create', 'create', 'create', 'remove', 'cut', 'cut', 'cut', 'cut'] as const),
  ...(['uncut', 'uncut', 'uncut', 'grow', 'write', 'write', 'write', 'write'] as const),
  ...(['attach', 'detach', 'move', 'work', 'work'] as const),
] as const;

export interface Step {
  readonly action: (typeof actions)[number];
  readonly name: string;
  readonly of: string;
  readonly block: number;
  readonly node: string;
  /** The server that is asked. */
  readonly server: 0 | 1;
  /** The number of the call that breaks, from the beginning of the step; 0 for none. */
  readonly breaks: number;
  readonly when: When;
  /** The server crashes at that call, and restarts before the caller repeats the request. */
  readonly dies: boolean;
}

export const blockCount = 3;
const names = ['v1', 'v2', 'v3'];
const cuts = ['s1', 's2', 's3'];

export const isCut = (name: string): boolean => cuts.includes(name);

/** Any step. Most succeed, and in some a call breaks. */
export const anyStep: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(...actions),
  name: fc.constantFrom(...names),
  of: fc.constantFrom('', '', '', '', ...names, ...cuts),
  block: fc.nat(blockCount - 1),
  node: fc.constantFrom('a1', 'b1'),
  server: fc.constantFrom(0 as const, 1 as const),
  breaks: fc.oneof(
    { arbitrary: fc.constant(0), weight: 3 },
    { arbitrary: fc.integer({ min: 1, max: 120 }), weight: 1 },
  ),
  when: fc.constantFrom('before' as const, 'after' as const),
  dies: fc.boolean(),
});

/** How a step ended for its caller: `ok`, or the kind of the fault. */
export type Outcome = string;

type Expected = (model: Model, step: Step) => Outcome;

/** The snapshot that a step is about. */
export const cutOf = ({ of, block }: Step): string => (isCut(of) ? of : (cuts[block] ?? ''));

const onVolume =
  (change: (volume: ModelVolume, step: Step, model: Model) => Outcome): Expected =>
  (model, step) => {
    const volume = model.volumes.get(step.name);
    return volume ? change(volume, step, model) : 'volume-missing';
  };

/** For each action: changes the model as the step asks, and returns the outcome that the caller must get. */
export const expectOutcome: Readonly<Record<Step['action'], Expected>> = {
  create: (model, step) => created(model, step),
  remove: ({ volumes }, { name }) => {
    if ((volumes.get(name)?.node ?? '') !== '') return 'in-use';
    volumes.delete(name);
    return 'ok';
  },
  cut: (model, step) => {
    const there = model.snapshots.get(cutOf(step));
    if (there) return there.of === step.name ? 'ok' : 'name-taken';
    return takeCut(model, step);
  },
  uncut: ({ snapshots }, step) => {
    snapshots.delete(cutOf(step));
    return 'ok';
  },
  grow: onVolume((volume) => {
    volume.mebibytes += 1;
    return 'ok';
  }),
  write: onVolume((volume, { name, block, node }) => {
    if (volume.node === '') volume.node = node;
    volume.blocks.set(block, `${volume.blocks.get(block) ?? ''}${name}`);
    return 'ok';
  }),
  attach: onVolume((volume, { node }) => {
    if (volume.node !== '' && volume.node !== node) return 'in-use';
    volume.node = node;
    return 'ok';
  }),
  detach: ({ volumes }, { name }) => {
    const volume = volumes.get(name);
    if (volume) volume.node = '';
    return 'ok';
  },
  // The node that had the volume is lost and cut off.
  move: onVolume((volume, { node }) => {
    volume.node = node;
    return 'ok';
  }),
  work: () => 'ok',
};

const takeCut = onVolume(({ blocks, mebibytes }, step, { snapshots }) => {
  snapshots.set(cutOf(step), { blocks: new Map(blocks), mebibytes, of: step.name });
  return 'ok';
});

function created({ volumes, snapshots }: Model, { name, of }: Step): Outcome {
  const there = volumes.get(name);
  if (there) return there.source === of && there.mebibytes >= 64 ? 'ok' : 'name-taken';
  const made = { blocks: new Map<number, string>(), mebibytes: 64, source: '', node: '' };
  if (of === '') {
    volumes.set(name, made);
    return 'ok';
  }
  const source = isCut(of) ? snapshots.get(of) : volumes.get(of);
  if (!source) return isCut(of) ? 'snapshot-missing' : 'volume-missing';
  const { mebibytes } = source;
  volumes.set(name, { ...made, blocks: new Map(source.blocks), mebibytes, source: of });
  return 'ok';
}

/** What each object should hold, by its name in the records. */
export const contentsOf = ({ volumes, snapshots }: Model): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [
      ...[...volumes].map(([name, { blocks }]) => [`volumes/${name}`, shown(blocks)] as const),
      ...[...snapshots].map(([name, { blocks }]) => [`snapshots/${name}`, shown(blocks)] as const),
    ].sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const shown = (blocks: ReadonlyMap<number, string>): string =>
  Array.from({ length: blockCount }, (_, block) => blocks.get(block) ?? '').join('|');
