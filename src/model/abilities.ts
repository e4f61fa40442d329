/**
 * What one GPFS lets the driver do where its documentation is silent. The probe of a root finds it out with
 * tiny files and keeps it in the root; every policy has a branch for each "no".
 */
export interface Abilities {
  /** `mmclone snap` of a file that something has open for writing. */
  readonly snapOpen: boolean;
  /** `mmclone redirect` of a file that something on this node has open for writing. */
  readonly redirectOpen: boolean;
  /** The same while a loop device on another node writes; yes only after a probe of two nodes. */
  readonly redirectAttached: boolean;
  /** `mmclone redirect` of a clone parent that has children itself. */
  readonly redirectParent: boolean;
  /** Zeroing and discarding part of a block of a clone reads as zeros and leaves its parent as it was. */
  readonly zeroInClone: boolean;
  /** Loop devices with direct I/O. */
  readonly directIo: boolean;
  /** Discarding on a loop device gives space back. */
  readonly punchHole: boolean;
  /** A clone parent with children can be renamed. */
  readonly renameParent: boolean;
  /** stat(2) says how many children a clone parent has. */
  readonly linkCount: boolean;
}

/** Before any probe: what the documentation promises, and "no" where a wrong "yes" would cost data. */
export const unprobed: Abilities = {
  snapOpen: true,
  redirectOpen: false,
  redirectAttached: false,
  redirectParent: false,
  zeroInClone: true,
  directIo: true,
  punchHole: true,
  renameParent: true,
  linkCount: true,
};

/** What the probe tries, in this order, each as a sentence that `yes` makes true. */
export const trials = {
  snap: 'mmclone snap cuts a parent off a closed file',
  show: 'mmclone show tells a parent and a clone by inode',
  copy: 'mmclone copy makes a child that reads like its parent',
  linkCount: 'the link count of a parent is 1 and the number of its children',
  writeParent: 'a parent can be written to',
  chmodParent: 'the mode of a parent can be changed',
  renameParent: 'a parent with children can be renamed',
  removeParent: 'a parent with children can be removed',
  redirectPlain: 'mmclone redirect takes a file that is no clone',
  splitPlain: 'mmclone split takes a file that is no clone',
  snapOpen: 'mmclone snap takes a file that is open for writing',
  redirectParent: 'mmclone redirect takes a parent with children',
  redirectOpen: 'mmclone redirect takes a file that is open for writing',
  directIo: 'a loop device uses direct I/O',
  punchHole: 'a loop device can discard',
  zeroInClone: 'zeroed parts of blocks of a clone read as zeros, and its parent stays',
  removeChild: 'a child can be removed',
  removeChildless: 'a parent can be removed once its last child is gone',
} as const;

/** One thing the probe tries. */
export type Trial = keyof typeof trials;

/** How a trial ended. Only what the file system answers counts: a full disk or an interruption is `unknown`. */
export type TrialOutcome =
  | { readonly kind: 'yes'; readonly ms: number; readonly why?: string | undefined }
  | { readonly kind: 'no'; readonly ms: number; readonly why: string }
  | { readonly kind: 'unknown'; readonly ms: number; readonly why: string };

/** What the driver cannot do where a trial ended like this. */
export const consequences: Readonly<
  Partial<Record<Trial, { readonly when: 'yes' | 'no'; readonly then: string }>>
> = {
  snapOpen: { when: 'no', then: 'attached volumes cannot be snapshotted or cloned' },
  redirectOpen: { when: 'no', then: 'attached volumes are compacted only once they are detached' },
  redirectParent: {
    when: 'no',
    then: 'deleted snapshots in the middle of a chain keep their space',
  },
  zeroInClone: { when: 'no', then: 'restores and clones can only be used read-only' },
  directIo: { when: 'no', then: 'nothing is staged without --allow-buffered' },
  punchHole: { when: 'no', then: 'space that a file system frees is not given back' },
  renameParent: { when: 'no', then: 'doctor --repair leaves clone parents where they lie' },
  linkCount: { when: 'no', then: 'doctor cannot see clones outside of the root' },
  chmodParent: { when: 'no', then: 'snapshots keep the mode of their volume' },
};

/** Outcomes by trial; a trial that did not run is absent. */
export type Outcomes = Readonly<Partial<Record<Trial, TrialOutcome>>>;

const abilityTrials = [
  'snapOpen',
  'redirectOpen',
  'redirectParent',
  'zeroInClone',
  'directIo',
  'punchHole',
  'renameParent',
  'linkCount',
] as const satisfies readonly (Trial & keyof Abilities)[];

/** The abilities that outcomes settle; a trial without an answer settles nothing. */
export function abilitiesFrom(outcomes: Outcomes): Partial<Abilities> {
  const settled = abilityTrials.flatMap((trial): [keyof Abilities, boolean][] => {
    const kind = outcomes[trial]?.kind;
    return kind === 'yes' || kind === 'no' ? [[trial, kind === 'yes']] : [];
  });
  return Object.fromEntries(settled);
}

/** Whether every trial has an answer; else the probe should run again. */
export const isComplete = (outcomes: Outcomes): boolean =>
  Object.keys(trials).every((trial) => {
    const kind = outcomes[trial as Trial]?.kind;
    return kind === 'yes' || kind === 'no';
  });

// The driver needs these; for every other ability it has a branch for each answer.
const needed: readonly (readonly [Trial, 'yes' | 'no'])[] = [
  ['snap', 'yes'],
  ['show', 'yes'],
  ['copy', 'yes'],
  ['writeParent', 'no'],
  ['removeParent', 'no'],
  ['removeChild', 'yes'],
  ['removeChildless', 'yes'],
];

/** Trials whose answer no GPFS that the driver can work with would give. */
export const strangeOutcomes = (outcomes: Outcomes): readonly Trial[] =>
  needed.flatMap(([trial, wanted]) => {
    const kind = outcomes[trial]?.kind;
    return kind === undefined || kind === 'unknown' || kind === wanted ? [] : [trial];
  });

/** How a volume is about to be used on a node. */
export interface Use {
  readonly writable: boolean;
  /** Its image reads through a clone parent. */
  readonly isClone: boolean;
  /** Raw block for several nodes at once. */
  readonly shared: boolean;
  /** The administrator allows buffered loop devices where there are no others. */
  readonly allowBuffered: boolean;
}

/** Why a volume must not be used through a loop device here; undefined where it may. */
export function whyNotUsed(abilities: Abilities, use: Use): string | undefined {
  if (!abilities.zeroInClone && use.isClone && use.writable)
    return 'it reads through a clone parent, and on this GPFS what is zeroed or discarded in a clone shows the data of its parent again: clones can only be used read-only here';
  if (abilities.directIo) return undefined;
  if (use.shared)
    return 'this GPFS lets no loop device use direct I/O, and without it nodes would read stale data of a shared block volume';
  return use.allowBuffered
    ? undefined
    : 'this GPFS lets no loop device use direct I/O; --allow-buffered takes slower ones that lose unsynced data with the node';
}

/** Why no clone parent may be cut off an image that a node has attached; undefined where one may. */
export function whyNotCut(abilities: Abilities, writable: boolean): string | undefined {
  if (!abilities.snapOpen)
    return 'this GPFS refuses mmclone snap of a file that is open; detach it first';
  if (!abilities.zeroInClone && writable)
    return 'on this GPFS what is zeroed or discarded in a clone shows the data of its parent again, and it is being written to; detach it first';
  return undefined;
}
