import { join } from 'node:path';
import type { CloneCommands } from '../../gpfs/mmclone.ts';
import { localIdOf } from '../../model/ids.ts';
import type { Log } from '../../observe/log.ts';
import type { Clock, Nonce } from '../../run/clock.ts';
import { errnoOf } from '../../run/files.ts';
import type { Trials } from '../../run/trials.ts';
import { ignoring } from '../../store/edges.ts';
import type { Self } from '../../store/nodes.ts';
import type { RootStore } from '../../store/root.ts';

/** What a probe needs. */
export interface ProbeHost {
  readonly clone: CloneCommands;
  readonly trials: Trials;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly log: Log;
  /** The process that probes, a server or a command; each has an instance of its own. */
  readonly self: Pick<Self, 'node' | 'instance' | 'version'>;
}

/** The file that gets a loop device, which a sweep after a crash must detach. */
export const loopedName = 'looped';

const abandonedMs = 3_600_000;
const areaName = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9-]+)\.[0-9a-f]{8}$/;

/** Makes a directory with a new name for one probe, and removes it afterwards with all that is in it. */
export async function withArea<T>(
  host: ProbeHost,
  store: RootStore,
  use: (at: (name: string) => string) => Promise<T>,
): Promise<T> {
  const { self, nonce, log } = host;
  await store.files.makeDirectory(store.layout.probe, 0o750);
  const name = `${localIdOf(self.node)}.${self.instance}.${nonce()}`;
  const directory = join(store.layout.probe, name);
  await store.files.makeDirectory(directory, 0o750);
  try {
    return await use((file) => join(directory, file));
  } finally {
    await clear(host, store, directory).catch((error: unknown) => {
      log.warn(
        { directory, error },
        'the files of a probe could not be removed; a later sweep removes them',
      );
    });
  }
}

/** Removes the leftovers of interrupted probes: those of this node's earlier processes, and old ones. */
export async function sweepProbes(host: ProbeHost, store: RootStore): Promise<void> {
  for (const name of await listed(store, store.layout.probe))
    if (await isAbandoned(host, store, name))
      await clear(host, store, join(store.layout.probe, name));
}

/** Whether it was an earlier process of this server: a node has one server at a time, and visitors beside it. */
const diedHere = (self: ProbeHost['self'], node: string, instance: string): boolean =>
  node === localIdOf(self.node) && !isVisitor(instance) && !isVisitor(self.instance);

async function isAbandoned(
  { self, clock }: ProbeHost,
  store: RootStore,
  name: string,
): Promise<boolean> {
  const [node, instance] = partsOf(name);
  if (instance === '' || instance === self.instance) return false;
  const stat = await store.files.stat(join(store.layout.probe, name)).catch(() => undefined);
  if (stat?.kind !== 'directory') return false;
  return diedHere(self, node, instance) || clock.now() - stat.modifiedMs > abandonedMs;
}

/** Whose directory this is; both empty for a name that is not one of a probe. */
function partsOf(name: string): readonly [node: string, instance: string] {
  const [, node = '', instance = ''] = areaName.exec(name) ?? [];
  return [node, instance];
}

const visitor = 'visitor-';
const isVisitor = (instance: string): boolean => instance.startsWith(visitor);

/** An instance for a visitor: a command that probes, while a server may run on the same node. */
export const visitorInstance = (nonce: Nonce): string => `${visitor}${nonce()}`;

const pauses = [0, 0, 0, 100, 400, 1500];

/** Removes children before parents. GPFS may refuse to remove a parent for a moment after its last child. */
async function clear(host: ProbeHost, store: RootStore, directory: string): Promise<void> {
  const looped = join(directory, loopedName);
  const names = await listed(store, directory);
  if (names.includes(loopedName)) await host.trials.detach(looped);
  for (const ms of pauses) {
    if (ms > 0) await host.clock.sleep(ms);
    const left = await listed(store, directory);
    for (const name of left)
      await ignoring(
        store.files.unlink(join(directory, name)),
        'ENOENT',
        'EROFS',
        'EPERM',
        'EBUSY',
      );
    if (left.length === 0) break;
  }
  await ignoring(store.files.removeDirectory(directory), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
}

async function listed(store: RootStore, directory: string): Promise<readonly string[]> {
  try {
    return await store.files.list(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Whether a name exists. */
export const isThere = (store: RootStore, path: string): Promise<boolean> =>
  store.files.stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
