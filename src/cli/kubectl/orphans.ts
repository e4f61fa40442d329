import { z } from 'zod';
import { ageWords, plainName } from '../../model/forest/words.ts';
import { indentedColumns } from '../../model/forest/columns.ts';
import { itemsIn } from './cluster.ts';
import { volumesIn, type SeenPv } from './join.ts';

const snapshotContent = z.looseObject({
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({
    driver: z.string(),
    source: z.looseObject({ snapshotHandle: z.string().optional() }).default({}),
  }),
  status: z.looseObject({ snapshotHandle: z.string().optional() }).default({}),
});

const treeFile = z.looseObject({
  id: z.string().nullish(),
  kind: z.string(),
  name: z.string(),
  createdMs: z.number(),
  beingDeleted: z.boolean().optional(),
});

const treeReport = z.looseObject({
  roots: z.array(z.looseObject({ path: z.string(), id: z.string(), files: z.array(treeFile) })),
});

/** What Kubernetes knows of volumes and snapshots of one driver, and what the driver has in its roots. */
export interface BothSides {
  readonly volumes: readonly Known[];
  /** Undefined where the cluster has no such objects. */
  readonly contents: readonly Known[] | undefined;
  readonly files: readonly OwnFile[];
}

/** An object of Kubernetes that names a handle. */
interface Known {
  readonly name: string;
  readonly handle: string;
  readonly about: string;
}

/** A volume or snapshot of a root. */
export interface OwnFile {
  readonly handle: string;
  readonly kind: 'volume' | 'snapshot';
  readonly name: string;
  readonly root: string;
  readonly createdMs: number;
  /** Its deletion has begun. */
  readonly leaving: boolean;
}

/** Objects of one side without the other. */
export interface Orphans {
  readonly volumesMissing: readonly Known[];
  readonly snapshotsMissing: readonly Known[];
  readonly volumesUnknown: readonly OwnFile[];
  readonly snapshotsUnknown: readonly OwnFile[];
  /** Files that are too young: their object may be on its way. */
  readonly young: number;
}

/** PersistentVolumes of a driver in a list of the API. */
export const knownVolumes = (list: unknown, driver: string): readonly Known[] =>
  volumesIn(list).flatMap((volume) => {
    const { metadata, spec } = volume;
    if (spec.csi?.driver !== driver) return [];
    return [{ name: metadata.name, handle: spec.csi.volumeHandle, about: stateOf(volume) }];
  });

function stateOf({ spec, status }: SeenPv): string {
  const { claimRef, persistentVolumeReclaimPolicy: policy } = spec;
  const claim = claimRef ? `claim ${claimRef.namespace}/${claimRef.name}` : 'no claim';
  return `${status.phase}, ${claim}, ${policy}`;
}

/** VolumeSnapshotContents of a driver that name a snapshot. */
export const knownContents = (list: unknown, driver: string): readonly Known[] =>
  itemsIn(list, snapshotContent).flatMap(({ metadata, spec, status }) => {
    const handle = status.snapshotHandle ?? spec.source.snapshotHandle;
    if (spec.driver !== driver || handle === undefined) return [];
    return [{ name: metadata.name, handle, about: '' }];
  });

/** Volumes and snapshots in what `gpfs-csi tree --json` prints. Throws where that is something else. */
export function filesIn(printed: string): readonly OwnFile[] {
  const { roots } = treeReport.parse(JSON.parse(printed));
  return roots.flatMap(({ path, files }) =>
    files.flatMap(({ id, kind, name, createdMs, beingDeleted }) =>
      (kind === 'volume' || kind === 'snapshot') && id
        ? [{ handle: id, kind, name, root: path, createdMs, leaving: beingDeleted === true }]
        : [],
    ),
  );
}

/** Younger than this, a file may still wait for its object: the provisioner makes the object after the file. */
const youngMs = 10 * 60_000;

/** What has no counterpart. Handles with other root ids belong to volumes that moved: their local id counts. */
export function compare({ volumes, contents, files }: BothSides, nowMs: number): Orphans {
  const own = new Set(files.map(({ handle }) => handle));
  const locals = new Set(files.map(({ handle }) => localOf(handle)));
  const isThere = ({ handle }: Known) => own.has(handle) || locals.has(localOf(handle));
  const known = new Set([...volumes, ...(contents ?? [])].map(({ handle }) => localOf(handle)));
  const isOld = ({ createdMs }: OwnFile) => nowMs - createdMs >= youngMs;
  const unknown = files.filter(({ handle, leaving }) => !leaving && !known.has(localOf(handle)));
  const old = unknown.filter(isOld);
  return {
    volumesMissing: volumes.filter((each) => !isThere(each)),
    snapshotsMissing: (contents ?? []).filter((each) => !isThere(each)),
    volumesUnknown: old.filter(({ kind }) => kind === 'volume'),
    snapshotsUnknown: contents ? old.filter(({ kind }) => kind === 'snapshot') : [],
    young: unknown.length - old.length,
  };
}

const localOf = (handle: string): string => handle.slice(handle.indexOf('.') + 1);

/** The comparison for a person. It explains, and advises no deletion: what looks left over may be wanted. */
export function orphansText(found: Orphans, nowMs: number): readonly string[] {
  const known = ({ name, handle, about }: Known) => [name, handle, about];
  const file = ({ name, handle, root, createdMs }: OwnFile) => [
    name,
    handle,
    root,
    ageWords(createdMs, nowMs),
  ];
  const sections = [
    ...section(
      words.volumesMissing,
      ['PERSISTENTVOLUME', 'HANDLE', 'STATE'],
      found.volumesMissing.map(known),
    ),
    ...section(
      words.volumesUnknown,
      ['VOLUME', 'HANDLE', 'ROOT', 'AGE'],
      found.volumesUnknown.map(file),
    ),
    ...section(
      words.snapshotsMissing,
      ['VOLUMESNAPSHOTCONTENT', 'HANDLE', ''],
      found.snapshotsMissing.map(known),
    ),
    ...section(
      words.snapshotsUnknown,
      ['SNAPSHOT', 'HANDLE', 'ROOT', 'AGE'],
      found.snapshotsUnknown.map(file),
    ),
  ];
  const young =
    found.young > 0
      ? [`${found.young} younger than 10 minutes are left out: their objects may be on the way.`]
      : [];
  return [...(sections.length > 0 ? sections : ['nothing is without its counterpart']), ...young];
}

const words = {
  volumesMissing: [
    'PersistentVolumes whose volume is in no root. Their pods cannot start.',
    'A root may be missing from the configuration, or was restored from an older state: run gpfs-csi doctor first.',
  ],
  volumesUnknown: [
    'Volumes without a PersistentVolume: of one with the policy Retain that was deleted, or adopted ones before',
    'their objects were made. Ask who made them. docs/kubectl.md says how such a volume is used again.',
  ],
  snapshotsMissing: ['VolumeSnapshotContents whose snapshot is in no root.'],
  snapshotsUnknown: [
    'Snapshots without a VolumeSnapshotContent: of one with the policy Retain that was deleted, or golden images,',
    'which need none (gpfs-csi image list).',
  ],
};

const section = (
  title: readonly string[],
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] =>
  rows.length === 0
    ? []
    : [...title, ...indentedColumns([heading, ...rows.map((row) => row.map(plainName))]), ''];
