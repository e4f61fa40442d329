import type { Journal } from './journal.ts';
import type { Content, Track, Window, Writes } from './model.ts';
import type { ChaosNode } from './ground/node.ts';
import type { Random } from './random.ts';
import type { Site } from './ground/site.ts';

/** A promise of the driver that did not hold. It ends the run. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** How a volume is used: as a raw device, or with a file system on it. */
export type Kind = 'raw' | 'ext4' | 'xfs';

/** What a pod that uses a volume has. */
export interface Pod {
  readonly node: ChaosNode;
  readonly staging: string;
  readonly target: string;
  /** False once its node has booted: then nothing of it is left there. */
  alive: boolean;
}

interface Thing {
  readonly name: string;
  readonly id: string;
  /** Where its files lie. */
  root: string;
  readonly kind: Kind;
  bytes: bigint;
  /** Operations that read it; while there are some, it is not deleted. */
  readers: number;
  /** Something works on it that tolerates nothing else: a deletion, a move, a look at its file. */
  alone: boolean;
}

/** A volume that exists. */
export interface ChaosVolume extends Thing {
  readonly what: 'volume';
  readonly track: Track;
  pod: Pod | undefined;
  /** The pod is being started, used or stopped. */
  podBusy: boolean;
  /** A group is being cut with it. */
  inGroup: boolean;
  growing: boolean;
  /** A raw device that several nodes may have at once. */
  readonly shared: boolean;
}

/** A snapshot that exists, or a golden image. */
export interface ChaosSnapshot extends Thing {
  readonly what: 'snapshot' | 'image';
  readonly content: Content;
  /** The group that it belongs to, by its id. */
  readonly group: string | undefined;
}

/** A pod that Kubernetes has given up, on a node that did not let go of its volume. */
export interface Lost extends Pod {
  readonly volume: string;
  readonly id: string;
  /** Writes to what the pod had; they must reach no other node. */
  readonly object: number;
  readonly kind: Kind;
  /** The kubelet of its node is letting go of the volume, or has. */
  buried: boolean;
  /** A process of the pod is about to write, or has something open: until it ends, no kubelet unmounts it. */
  writes: boolean;
}

/** Everything that the parts of a run share. */
export interface World {
  readonly site: Site;
  readonly program: string;
  readonly nodes: readonly ChaosNode[];
  readonly journal: Journal;
  readonly writes: Writes;
  readonly volumes: Set<ChaosVolume>;
  readonly snapshots: Set<ChaosSnapshot>;
  readonly lost: Set<Lost>;
  /** Names of objects whose creation got no answer at some time: a server may make them late. */
  readonly uncertain: Set<string>;
  /** Aborted when the run ends early. */
  readonly signal: AbortSignal;
  /** Numbers that no two objects share. */
  readonly next: () => number;
}

/** One of the users of a run, with choices of its own. */
export interface Lane {
  readonly name: string;
  readonly random: Random;
  /** How many requests it has made, and files it has compared. */
  steps: number;
}

export const newLane = (name: string, random: Random): Lane => ({ name, random, steps: 0 });

/** Uses an object beside others; resolves to undefined where it is being deleted, or moved. */
export async function beside<R>(
  thing: Thing | undefined,
  work: () => Promise<R>,
): Promise<R | undefined> {
  if (!thing || thing.alone) return undefined;
  thing.readers += 1;
  try {
    return await work();
  } finally {
    thing.readers -= 1;
  }
}

/** Uses an object while nothing else does; does nothing where something else does. */
export async function alone(
  thing: ChaosVolume | ChaosSnapshot | undefined,
  work: () => Promise<void>,
): Promise<void> {
  if (!thing || thing.alone || thing.readers > 0) return;
  if (thing.what === 'volume' && (thing.podBusy || thing.pod)) return;
  thing.alone = true;
  try {
    await work();
  } finally {
    thing.alone = false;
  }
}

/** Follows what volumes may hold while an operation looks at them. */
export const windowsOf = (volumes: readonly ChaosVolume[]): readonly Window[] =>
  volumes.map(({ track }) => track.open());

/** Nodes whose kubelet still has to let go of nothing of this volume: only there may a pod with it start. */
export const nodesFor = ({ nodes, lost }: World, { name }: ChaosVolume): readonly ChaosNode[] =>
  nodes.filter((node) => ![...lost].some((each) => each.volume === name && each.node === node));
