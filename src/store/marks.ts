import { join } from 'node:path';
import { localIdOf, type FileKey } from '../model/ids.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { ignoring } from './edges.ts';
import { fromText, toText } from './json.ts';
import type { Layout } from './layout.ts';
import type { Self } from './nodes.ts';
import { recordFormat } from './schema/data.ts';
import { markFile, type MarkFile, type NodeFile } from './schema/root.ts';

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
