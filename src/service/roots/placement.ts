import { invalid } from '../../model/fault.ts';
import type { FileAttributes } from '../../model/class/parameters.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import type { ReplicaCounts, FileSystem } from '../../gpfs/mmlsfs.ts';
import type { StoragePool } from '../../gpfs/mmlspool.ts';
import type { FilesetQuota } from '../../gpfs/mmlsquota.ts';
import type { Clock } from '../../run/clock.ts';
import type { RootStore } from '../../store/root.ts';

/** How long an answer of GPFS is kept: each command runs at most once a minute, however many callers there are. */
const keepMs = 60_000;

/** What the file system below a root offers; answers of GPFS are kept for a minute. */
export interface Placement {
  /** Keeps what a file system reported when its root was opened. */
  learn(fileSystem: FileSystem): void;
  fileSystem(store: RootStore): Promise<FileSystem>;
  pools(store: RootStore): Promise<readonly StoragePool[]>;
  /** Undefined where the root's fileset has no limit. */
  quota(store: RootStore): Promise<FilesetQuota | undefined>;
  /** Throws invalid-request, naming what is possible, for attributes that no file of this root can have. */
  require(store: RootStore, attributes: FileAttributes, field?: string): Promise<void>;
  /** Throws invalid-request unless the file system encrypts what it stores. */
  requireEncryption(store: RootStore): Promise<void>;
}

/** Placement over the mm commands. */
export function placementOf(gpfs: Pick<Gpfs, 'pools' | 'fs' | 'quota'>, clock: Clock): Placement {
  const { pools, fileSystems, quotas } = queries(gpfs, clock);
  const learned = new Map<string, FileSystem>();
  // Pools are rarely removed, and mmchattr refuses one that was: a pool found once is not checked again.
  const seen = new Set<string>();
  const fileSystem = async (store: RootStore) =>
    learned.get(store.facts.fileSystem) ?? fileSystems(store);
  const requirePool = async (store: RootStore, pool: string, field: string) => {
    const name = `${store.facts.fileSystem} ${pool}`;
    if (!seen.has(name)) refuseUnknown(store, await pools(store), pool, field);
    seen.add(name);
  };
  return {
    learn: (found) => void learned.set(found.name, found),
    fileSystem,
    pools,
    quota: async (store) => {
      const { quotasEnforced } = await fileSystem(store);
      return quotasEnforced.includes('fileset') ? quotas(store) : undefined;
    },
    require: async (store, attributes, field = 'parameters') => {
      const { dataReplicas, metadataReplicas, pool } = attributes;
      const found = await fileSystem(store);
      const tooMany = refuseTooMany(store, field);
      tooMany('dataReplicas', dataReplicas, found.dataReplicas);
      tooMany('metadataReplicas', metadataReplicas, found.metadataReplicas);
      if (pool !== undefined) await requirePool(store, pool, field);
    },
    // An administrator may have switched encryption on since the root was opened.
    requireEncryption: async (store) => {
      if ((await fileSystems(store)).encrypts) return;
      throw invalid(
        'parameters',
        `key "encryptionAtRest" is required, but file system ${store.facts.fileSystem} does not encrypt at rest; use a root on one that does`,
      );
    },
  };
}

const queries = (gpfs: Pick<Gpfs, 'pools' | 'fs' | 'quota'>, clock: Clock) => ({
  pools: remembered(
    clock,
    ({ facts }) => facts.fileSystem,
    ({ facts }) => gpfs.pools(facts.fileSystem),
  ),
  fileSystems: remembered(
    clock,
    ({ facts }) => facts.fileSystem,
    ({ facts }) => gpfs.fs(facts.fileSystem),
  ),
  quotas: remembered(
    clock,
    ({ facts }) => `${facts.fileSystem}:${facts.fileset}`,
    ({ facts }) => gpfs.quota(facts.fileSystem, facts.fileset),
  ),
});

function refuseUnknown(
  store: RootStore,
  pools: readonly StoragePool[],
  pool: string,
  field: string,
): void {
  const holding = pools.filter(({ space }) => space?.holdsData !== false).map(({ name }) => name);
  if (holding.includes(pool)) return;
  throw invalid(
    field,
    `key "pool" names ${JSON.stringify(pool)}, which holds no data in file system ${store.facts.fileSystem}; it has ${holding.join(', ')}`,
  );
}

const refuseTooMany =
  (store: RootStore, field: string) =>
  (key: string, wanted: number | undefined, { most }: ReplicaCounts): void => {
    if (wanted === undefined || wanted <= most) return;
    throw invalid(
      field,
      `key "${key}" is ${wanted}, but file system ${store.facts.fileSystem} keeps at most ${most}; allowed are 1 to ${most}`,
    );
  };

/** Asks once and gives the same answer for `keepMs`; a failure is not kept. */
function remembered<T>(
  clock: Clock,
  keyOf: (store: RootStore) => string,
  ask: (store: RootStore) => Promise<T>,
): (store: RootStore) => Promise<T> {
  const kept = new Map<string, { readonly untilMs: number; readonly answer: Promise<T> }>();
  return (store) => {
    const key = keyOf(store);
    const known = kept.get(key);
    if (known && known.untilMs > clock.now()) return known.answer;
    const answer = ask(store);
    kept.set(key, { untilMs: clock.now() + keepMs, answer });
    answer.catch(() => kept.delete(key));
    return answer;
  };
}
