import { join } from 'node:path';
import { localIdOf, type FileKey } from '../model/ids.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { ignoring } from './edges.ts';
import { fromText, toText } from './json.ts';
import type { Layout } from './layout.ts';
import { recordFormat } from './schema/data.ts';
import { markFile, nodeFile, type MarkFile, type NodeFile } from './schema/root.ts';
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

/** Which nodes may have an image open. */
export interface Marks {
  /** Durable when it resolves. */
  set(image: FileKey, self: Self): Promise<void>;
  clear(image: FileKey, node: string): Promise<void>;
  of(image: FileKey): Promise<readonly MarkFile[]>;
}

/** The marks kept in one root. */
export function marksOf(files: Files, layout: Layout, clock: Clock, nonce: Nonce): Marks {
  const pathOf = (image: FileKey, node: string) =>
    join(layout.marks(image), `${localIdOf(node)}.json`);
  return {
    set: async (image, { node, machineId, bootId }) => {
      const mark = { format: recordFormat, node, machineId, bootId, image, sinceMs: clock.now() };
      const temporary = join(layout.temporary, `mark-${nonce()}`);
      const directory = layout.marks(image);
      await files.createDurable(temporary, toText(mark), 0o640);
      await makeIn(files, directory, () => files.rename(temporary, pathOf(image, node)));
      await files.syncDirectory(directory);
    },
    clear: async (image, node) => {
      await ignoring(files.unlink(pathOf(image, node)), 'ENOENT');
      await ignoring(files.removeDirectory(layout.marks(image)), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
    },
    of: async (image) => {
      const names = (await files.list(layout.marks(image)).catch(undefinedWhenMissing)) ?? [];
      const paths = names.map((name) => join(layout.marks(image), name));
      const texts = await Promise.all(
        paths.map((path) => files.read(path).catch(undefinedWhenMissing)),
      );
      return texts.flatMap((text, index) =>
        text === undefined ? [] : [fromText(markFile, text, paths[index] ?? '')],
      );
    },
  };
}

/** Left by this node, on this machine: a name that another machine has taken over is not the same node. */
export const isSameMachine = (
  mark: MarkFile,
  { node, machineId }: Pick<NodeFile, 'node' | 'machineId'>,
): boolean => mark.node === node && mark.machineId === machineId;

/** A mark is dead only when the machine that left it has booted again since; anything else may still write. */
export const isDeadMark = (mark: MarkFile, now: NodeFile | undefined): boolean =>
  now?.machineId === mark.machineId && now.bootId !== mark.bootId;
