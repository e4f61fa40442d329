import { DriverError, isFault } from '../../model/fault.ts';
import {
  imageId,
  isLocalId,
  localIdOf,
  ownerOfKey,
  shardOf,
  type LocalId,
} from '../../model/ids.ts';
import type { KubernetesName } from '../../model/kubernetes.ts';
import { isKey } from '../../store/layout.ts';
import type { Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { walkRecords } from '../walk.ts';
import {
  calledBy,
  handleOf,
  identityOf,
  isGone,
  keyOf,
  kindWords,
  type FoundObject,
} from './found.ts';
import { readWord, type AskedKind, type AskedWord } from './word.ts';

/** What a search came to. */
export interface Search {
  /** Each object that the word names. Deleted ones are in it only where no other object has the name. */
  readonly objects: readonly FoundObject[];
  /** Sentences about records that cannot be read, which may have the name. */
  readonly problems: readonly string[];
}

/**
 * The objects that a word names, in these roots: by NAMESPACE/NAME of a claim or a VolumeSnapshot, its plain name, the
 * name of a PersistentVolume, a handle, the name of a golden image, a local id, the key of a data file, or the path of
 * one. A name in Kubernetes is looked for in all records. Throws invalid-request for a word that can name nothing.
 */
export async function findObjects(stores: readonly RootStore[], word: string): Promise<Search> {
  const asked = readWord(word);
  const problems: string[] = [];
  const exact = await byForm(stores, asked, problems);
  if (exact.length > 0) return { objects: present(exact), problems };
  const found: FoundObject[] = [];
  for (const store of stores) {
    for (const id of idsOf(asked.text)) found.push(...(await byId(store, id, problems)));
    if (asked.only !== 'volume')
      found.push(...(await byId(store, imageId(asked.text), problems)).filter(isGolden));
    // The names that the sidecars make are of one object only.
    if (found.some((each) => !isGone(each)) && isMadeName(asked.text)) continue;
    found.push(...(await byName(store, asked, problems)));
  }
  const wanted = found.filter((each) => isOfKind(each, asked.only));
  return { objects: present(distinct(wanted)), problems };
}

/** The ids that an object of this name may have; the word may be such an id itself. */
const idsOf = (text: string): ReadonlySet<LocalId> =>
  new Set([localIdOf(text), ...(isLocalId(text) ? [text] : [])]);

/**
 * The only object of these kinds that a word names, and that was not deleted. Throws volume-missing where there is
 * none, and wrong-state where there are several, with a list of them.
 */
export async function findOne<K extends FoundObject['kind']>(
  stores: readonly RootStore[],
  word: string,
  kinds: readonly K[],
): Promise<Extract<FoundObject, { kind: K }>> {
  const { objects, problems } = await findObjects(stores, word);
  const fit = objects.filter((each): each is Extract<FoundObject, { kind: K }> =>
    kinds.some((kind) => kind === each.kind && !isGone(each)),
  );
  const [first] = fit;
  // While a volume moves to another root, both have it under one handle.
  if (first && new Set(fit.map((each) => `${each.kind} ${handleOf(each)}`)).size === 1)
    return first;
  if (first) throw ambiguous(word, fit);
  throw unknown(stores, word, problems);
}

/** A word that names nothing, with what was looked for. */
export function unknown(
  stores: readonly RootStore[],
  word: string,
  problems: readonly string[] = [],
): DriverError {
  const paths = stores.map(({ layout }) => layout.root).join(', ') || 'any root';
  const unread = problems.length > 0 ? `; ${problems.length} records cannot be read` : '';
  return new DriverError(
    'volume-missing',
    `no volume or snapshot is called ${quoted(word)} in ${paths}: looked for ${formsOf(readWord(word))}${unread}; gpfs-csi tree lists what is there`,
  );
}

/** A word that names several objects, with a word for each that names only that one. */
const ambiguous = (word: string, objects: readonly FoundObject[]): DriverError =>
  new DriverError(
    'wrong-state',
    `${quoted(word)} names ${objects.length} objects; say which one: ${objects.map(exactly).join(', ')}`,
  );

/** A word in a sentence, which a long one would hide. */
const quoted = (word: string): string =>
  JSON.stringify(word.length > 300 ? `${word.slice(0, 300)}…` : word);

const exactly = (object: FoundObject): string =>
  `${object.kind === 'clone parent' ? '' : `${object.kind}:`}${handleOf(object)} (${kindWords(object)} ${calledBy(object)} in ${object.store.layout.root})`;

function formsOf({ handle, key, kubernetes, path, recordOf }: AskedWord): string {
  if (path !== undefined)
    return key === undefined && recordOf === undefined
      ? 'a data file or a record at this path, and a volume whose device or mount is there'
      : 'an object that has this file';
  if (kubernetes) return 'a claim or a VolumeSnapshot of this namespace and name';
  return [
    ...(handle ? ['a handle'] : []),
    ...(key === undefined ? [] : ['a data file']),
    'a claim, a VolumeSnapshot, a PersistentVolume, a golden image and an id of this name',
  ].join(', ');
}

/** What the form of a word leads to without a search: a handle, the key or the path of a file, the path of a record. */
async function byForm(
  stores: readonly RootStore[],
  { handle, key, recordOf, only }: AskedWord,
  problems: string[],
): Promise<readonly FoundObject[]> {
  const found: FoundObject[] = [];
  for (const store of stores) {
    if (handle)
      found.push(
        ...(await byId(store, handle.local, problems)).filter(
          (each) => handleOf(each) === `${handle.root}.${handle.local}`,
        ),
      );
    for (const each of [key, recordOf])
      if (each !== undefined && isKey(each))
        found.push(
          ...(await byId(store, ownerOfKey(each), problems)).filter(
            (object) => keyOf(object) === each,
          ),
        );
    if (recordOf !== undefined && isLocalId(recordOf))
      found.push(...(await byId(store, recordOf, problems)));
  }
  return distinct(found.filter((each) => isOfKind(each, only)));
}

/** The objects of this id, and what deleted ones left. */
async function byId(
  store: RootStore,
  local: LocalId,
  problems: string[],
): Promise<readonly FoundObject[]> {
  const read = <T>(records: Records<T>, id: string) => readable(() => records.read(id), problems);
  const volume = await read(store.volumes, local);
  const snapshot = await read(store.snapshots, local);
  const left: FoundObject[] = [];
  for (const id of (await store.hidden.ids(shardOf(local))).keys()) {
    if (!isKey(id) || ownerOfKey(id) !== local) continue;
    const held = await read(store.hidden, id);
    if (held) left.push({ kind: 'clone parent', store, held });
  }
  return [
    ...(volume ? [{ kind: 'volume', store, held: volume } as const] : []),
    ...(snapshot ? [{ kind: 'snapshot', store, held: snapshot } as const] : []),
    ...left,
  ];
}

/** Objects with this name in Kubernetes, from all records of volumes and snapshots. */
async function byName(
  store: RootStore,
  { kubernetes, text }: AskedWord,
  problems: string[],
): Promise<readonly FoundObject[]> {
  const isIt = ({ namespace, name }: KubernetesName): boolean =>
    kubernetes ? kubernetes.namespace === namespace && kubernetes.name === name : name === text;
  const reading = { onUnreadable: ({ message }: Error) => problems.push(message) };
  const named = <T extends { readonly kubernetes?: KubernetesName | undefined }>(
    records: Records<T>,
  ) =>
    walkRecords(records, reading, (held) => {
      const { kubernetes: has } = held.value;
      return has !== undefined && isIt(has) ? held : undefined;
    });
  const found: FoundObject[] = [];
  for await (const held of named(store.volumes)) found.push({ kind: 'volume', store, held });
  for await (const held of named(store.snapshots)) found.push({ kind: 'snapshot', store, held });
  return found;
}

async function readable<T>(
  read: () => Promise<T | undefined>,
  problems: string[],
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    problems.push(error.message);
    return undefined;
  }
}

/** `pvc-UUID` of the provisioner and `snapshot-UUID` of the snapshotter. */
const isMadeName = (text: string): boolean =>
  /^(?:pvc|snapshot|groupsnapshot)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.test(text);

const isGolden = (object: FoundObject): boolean => kindWords(object) === 'golden image';

function isOfKind(object: FoundObject, only: AskedKind | undefined): boolean {
  if (only === undefined) return true;
  return only === 'image' ? isGolden(object) : object.kind === only;
}

/** A clone parent counts only where nothing else has the name; so does what was deleted. */
function present(objects: readonly FoundObject[]): readonly FoundObject[] {
  const there = objects.filter((each) => !isGone(each));
  const named = there.filter(({ kind }) => kind !== 'clone parent');
  if (named.length > 0) return named;
  return there.length > 0 ? there : objects;
}

/** Each object once, by name. */
const distinct = (objects: readonly FoundObject[]): readonly FoundObject[] =>
  [...new Map(objects.map((each) => [identityOf(each), each])).values()].sort((a, b) =>
    calledBy(a) < calledBy(b) ? -1 : 1,
  );
