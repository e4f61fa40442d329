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

/** What a probe stands on. */
export interface ProbeHost {
  readonly clone: CloneCommands;
  readonly trials: Trials;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly log: Log;
  /** Whoever probes; one that is no server has an instance of its own too. */
  readonly self: Pick<Self, 'node' | 'instance' | 'version'>;
}

/** The file that gets a loop device: the one to look for after a crash. */
export const loopedName = 'looped';

const abandonedMs = 3_600_000;
const areaName = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9-]+)\.[0-9a-f]{8}$/;

/** A directory for one probe, with a name used once; it is gone afterwards, with all in it. */
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
      log.warn({ directory, error }, 'what a probe made is left, and goes at a later sweep');
    });
  }
}

/** Removes what probes left that were cut short: those of this node's earlier processes, and old ones. */
export async function sweepProbes(host: ProbeHost, store: RootStore): Promise<void> {
  for (const name of await listed(store, store.layout.probe))
    if (await isAbandoned(host, store, name))
      await clear(host, store, join(store.layout.probe, name));
}

/** An earlier process of this server, as a node has one at a time; visitors come beside it. */
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

/** Whose directory this is; empty for a name that no probe gave. */
function partsOf(name: string): readonly [node: string, instance: string] {
  const [, node = '', instance = ''] = areaName.exec(name) ?? [];
  return [node, instance];
}

const visitor = 'visitor-';
const isVisitor = (instance: string): boolean => instance.startsWith(visitor);

/** The instance of a probe by somebody who is no server, and beside whom a server may run on this node. */
export const visitorInstance = (nonce: Nonce): string => `${visitor}${nonce()}`;

const pauses = [0, 0, 0, 100, 400, 1500];

/** Children go before parents, and GPFS may let a parent go only a moment after its last child. */
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
