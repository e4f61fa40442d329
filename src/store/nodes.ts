import { join } from 'node:path';
import { localIdOf } from '../model/ids.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { fromText, toText } from './json.ts';
import type { Layout } from './layout.ts';
import { recordFormat } from './schema/data.ts';
import { nodeFile, type NodeFile } from './schema/root.ts';
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
  read(node: string): Promise<NodeFile | undefined>;
  all(): Promise<readonly NodeFile[]>;
  /** Names of nodes whose server wrote a heartbeat lately, sorted. */
  living(): Promise<readonly string[]>;
  /** Whether the server that made a claim of another process may still be at work on it. */
  fateOf(
    claim: Pick<Claim, 'node' | 'instance' | 'sinceMs' | 'released'>,
  ): Promise<'alive' | 'silent' | 'gone'>;
}

/** The nodes directory of one root. */
export function nodesOf(files: Files, layout: Layout, clock: Clock, nonce: Nonce): Nodes {
  const pathOf = (node: string) => layout.node(localIdOf(node));
  const read = async (node: string): Promise<NodeFile | undefined> => {
    const text = await files.read(pathOf(node)).catch(undefinedWhenMissing);
    return text === undefined ? undefined : fromText(nodeFile, text, pathOf(node));
  };
  const all = async (): Promise<readonly NodeFile[]> => {
    const names = (await files.list(layout.nodes)).filter((name) => name.endsWith('.json'));
    const paths = names.map((name) => join(layout.nodes, name));
    return Promise.all(paths.map(async (path) => fromText(nodeFile, await files.read(path), path)));
  };
  return {
    register: async (self) => {
      const temporary = join(layout.temporary, `node-${nonce()}`);
      await files.createDurable(temporary, toText({ format: recordFormat, ...self }), 0o640);
      await files.rename(temporary, pathOf(self.node));
    },
    beat: (node) => files.touch(pathOf(node)),
    read,
    all,
    living: async () => {
      const seen = (await all()).map(async ({ node }) => {
        const { modifiedMs } = await files.stat(pathOf(node));
        return clock.now() - modifiedMs > goneAfterMs ? [] : [node];
      });
      return (await Promise.all(seen)).flat().sort();
    },
    fateOf: async (claim) => {
      if (claim.released) return 'gone';
      const now = await read(claim.node);
      if (now && now.instance !== claim.instance) return 'gone';
      const seen = now ? (await files.stat(pathOf(claim.node))).modifiedMs : claim.sinceMs;
      return clock.now() - seen > goneAfterMs ? 'silent' : 'alive';
    },
  };
}
