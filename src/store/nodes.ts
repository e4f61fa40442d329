import { dirname, join } from 'node:path';
import { localIdOf } from '../model/ids.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import { makeIn } from '../run/directories.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { type BadFiles, fromText, toText, undefinedWhenUnreadable } from './json.ts';
import type { Layout } from './layout.ts';
import { recordFormat } from './schema/data.ts';
import { healthFile, nodeFile, type HealthFile, type NodeFile } from './schema/root.ts';
import type { Claim } from './schema/claim.ts';

/** Who a server is: the node's name, the machine and boot under it, and this one process. */
export interface Self {
  readonly node: string;
  readonly machineId: string;
  readonly bootId: string;
  readonly instance: string;
  readonly version: string;
  readonly maxVolumes: number;
}

/** How often a server writes its heartbeat, and after how long without one it counts as gone. */
export const heartbeatMs = 30_000;
export const goneAfterMs = 150_000;

/** The servers that use a root. */
export interface Nodes {
  /** Writes who this server is; again at each start. */
  register(self: Self): Promise<void>;
  beat(node: string): Promise<void>;
  /** Repeats the heartbeat of the server that registered here, if one did: whether the root can be written to again. */
  beatAgain(): Promise<void>;
  read(node: string): Promise<NodeFile | undefined>;
  /** Leaves what this server found wrong. Writes only where that has changed since this process last wrote it. */
  leaveHealth(found: FoundHealth): Promise<void>;
  /** What the server of a node last found; undefined for one of an older version, or before the first heartbeat. */
  health(node: string): Promise<HealthFile | undefined>;
  all(): Promise<readonly NodeFile[]>;
  /** Names of nodes whose server wrote a heartbeat lately, sorted. */
  living(): Promise<readonly string[]>;
  /** Whether the server that made a claim of another process may still be at work on it. */
  fateOf(
    claim: Pick<Claim, 'node' | 'instance' | 'sinceMs' | 'released'>,
  ): Promise<'alive' | 'silent' | 'gone'>;
}

/** What a server found wrong. */
export type FoundHealth = Pick<HealthFile, 'node' | 'instance' | 'problems'>;

interface NodesHost {
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly bad: BadFiles;
  /** The node whose server this process is, once that has registered or written a heartbeat. */
  readonly own: { node: string | undefined; health?: string };
}

/** The nodes directory of one root. */
export function nodesOf(
  files: Files,
  layout: Layout,
  { clock, nonce, bad, own }: NodesHost,
): Nodes {
  const pathOf = (node: string) => layout.node(localIdOf(node));
  const readAt = async (path: string): Promise<NodeFile | undefined> => {
    const text = await files.read(path).catch(undefinedWhenMissing);
    return text === undefined ? undefined : fromText(nodeFile, text, path);
  };
  const read = (node: string) => readAt(pathOf(node));
  const all = async (): Promise<readonly NodeFile[]> => {
    const names = (await files.list(layout.nodes)).filter((name) => name.endsWith('.json'));
    const found = names.map(async (name) => {
      const node = await readAt(join(layout.nodes, name)).catch(undefinedWhenUnreadable(bad));
      // A copy under another name is not what that server writes.
      return node && `${localIdOf(node.node)}.json` === name ? [node] : [];
    });
    return (await Promise.all(found)).flat();
  };
  return {
    ...ownFileOf(files, layout, pathOf, { clock, nonce, own }),
    ...healthOf(files, layout, { clock, nonce, bad, own }),
    read,
    all,
    living: async () => {
      const seen = (await all()).map(async ({ node }) => {
        const stat = await files.stat(pathOf(node)).catch(undefinedWhenMissing);
        return !stat || clock.now() - stat.modifiedMs > goneAfterMs ? [] : [node];
      });
      return (await Promise.all(seen)).flat().sort();
    },
    fateOf: async (claim) => {
      if (claim.released) return 'gone';
      const now = await read(claim.node);
      if (now && now.instance !== claim.instance) return 'gone';
      const stat = now && (await files.stat(pathOf(claim.node)).catch(undefinedWhenMissing));
      return fateBy(clock.now(), stat?.modifiedMs, claim.sinceMs);
    },
  };
}

function healthOf(
  files: Files,
  layout: Layout,
  { clock, nonce, bad, own }: NodesHost,
): Pick<Nodes, 'leaveHealth' | 'health'> {
  const pathOf = (node: string) => layout.health(localIdOf(node));
  return {
    leaveHealth: async (found) => {
      const text = JSON.stringify(found);
      if (own.health === text) return;
      const temporary = join(layout.temporary, `health-${nonce()}`);
      const health: HealthFile = { format: recordFormat, ...found, foundMs: clock.now() };
      await files.createDurable(temporary, toText(health), 0o640);
      const path = pathOf(found.node);
      await makeIn(files, dirname(path), () => files.rename(temporary, path));
      own.health = text;
    },
    health: async (node) => {
      const path = pathOf(node);
      const text = await files.read(path).catch(undefinedWhenMissing);
      if (text === undefined) return undefined;
      try {
        return fromText(healthFile, text, path);
      } catch (error) {
        undefinedWhenUnreadable(bad)(error);
        return undefined;
      }
    },
  };
}

/** What a server writes of itself. */
function ownFileOf(
  files: Files,
  layout: Layout,
  pathOf: (node: string) => string,
  { clock, nonce, own }: Pick<NodesHost, 'clock' | 'nonce' | 'own'>,
): Pick<Nodes, 'register' | 'beat' | 'beatAgain'> {
  const beat = async (node: string): Promise<void> => {
    own.node = node;
    await files.touch(pathOf(node));
  };
  return {
    register: async (self) => {
      const temporary = join(layout.temporary, `node-${nonce()}`);
      const text = toText({ format: recordFormat, ...self, startedMs: clock.now() });
      await files.createDurable(temporary, text, 0o640);
      await files.rename(temporary, pathOf(self.node));
      own.node = self.node;
    },
    beat,
    beatAgain: async () => {
      if (own.node !== undefined) await beat(own.node);
    },
  };
}

/** An administrator removes the file of a node that is gone for good: then it has no heartbeat at all. */
function fateBy(nowMs: number, beatMs: number | undefined, sinceMs: number) {
  if (nowMs - (beatMs ?? sinceMs) <= goneAfterMs) return 'alive';
  return beatMs === undefined ? 'gone' : 'silent';
}
