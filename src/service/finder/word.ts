import { DriverError } from '../../model/fault.ts';
import { isLocalId, parseId, type FileKey, type LocalId, type RootId } from '../../model/ids.ts';
import { isNamespace, isObjectName, type KubernetesName } from '../../model/kubernetes.ts';
import { isKey, parseVersionName } from '../../store/layout.ts';

/** What a word may name by its form alone; a word may have several forms. */
export interface AskedWord {
  /** The word without the kind in front of it. */
  readonly text: string;
  /** The only kind of object that is meant, where the word begins with it. */
  readonly only: AskedKind | undefined;
  /** A volumeHandle or snapshotHandle. */
  readonly handle: { readonly root: RootId; readonly local: LocalId } | undefined;
  /** The name of a data file. */
  readonly key: FileKey | undefined;
  /** The object whose record lies at this path. */
  readonly recordOf: string | undefined;
  /** NAMESPACE/NAME of a claim or of a VolumeSnapshot. */
  readonly kubernetes: KubernetesName | undefined;
  /** An absolute path, of a file, a device or a mount. */
  readonly path: string | undefined;
}

/** Kinds that a word may begin with: `snapshot:nightly`. */
export type AskedKind = 'volume' | 'snapshot' | 'image';

/** Longer than any name, handle or path of the kernel. */
const longest = 4096;

/** Reads the form of a word. Throws invalid-request for a word that can name nothing. */
export function readWord(word: string): AskedWord {
  refuse(word === '', 'is empty');
  refuse(word.length > longest, `is longer than ${longest} characters`);
  refuse(word.includes('\0'), 'has a zero byte in it');
  const [, kind = '', rest = ''] = /^(volume|snapshot|image):(.+)$/s.exec(word) ?? [];
  const only = kinds.find((each) => each === kind);
  const text = only === undefined ? word : rest;
  return { text, only, ...(text.startsWith('/') ? formsOfPath(text) : formsOfName(text)) };
}

type Forms = Omit<AskedWord, 'text' | 'only'>;

function formsOfPath(path: string): Forms {
  const last = path.slice(path.lastIndexOf('/') + 1);
  return {
    handle: undefined,
    key: isKey(last) ? last : undefined,
    recordOf: recordIn(path, last),
    kubernetes: undefined,
    path,
  };
}

const formsOfName = (text: string): Forms => ({
  handle: parseId(text),
  key: isKey(text) ? text : undefined,
  recordOf: undefined,
  kubernetes: kubernetesIn(text),
  path: undefined,
});

const kinds: readonly AskedKind[] = ['volume', 'snapshot', 'image'];

function refuse(is: boolean, problem: string): void {
  if (is)
    throw new DriverError(
      { kind: 'invalid-request', field: 'word' },
      `what is asked for ${problem}; give a claim, a volume, a snapshot, a file, a device or a path`,
    );
}

function kubernetesIn(text: string): KubernetesName | undefined {
  const [namespace = '', name = '', ...more] = text.split('/');
  if (more.length > 0 || !isNamespace(namespace) || !isObjectName(name)) return undefined;
  return { namespace, name };
}

/** The id in the path of a record, `…/.gpfs-csi/records/volumes/SHARD/ID.VERSION`. */
function recordIn(path: string, last: string): string | undefined {
  if (!/\/\.gpfs-csi\/records\/(?:volumes|snapshots|hidden)\/[0-9a-f]{3}\/[^/]+$/.test(path))
    return undefined;
  const id = parseVersionName(last)?.id;
  return id !== undefined && (isLocalId(id) || isKey(id)) ? id : undefined;
}
