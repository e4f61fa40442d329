import fc from 'fast-check';
import { expect, test } from 'vitest';
import { errnoOf } from '../../src/run/files.ts';
import { CommandFailed } from '../../src/run/run.ts';
import { simulateGpfs, type SimulatedGpfs } from '../../src/simulator/memory/gpfs.ts';

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step = fc.oneof(
  fc.record({ do: fc.constant('write' as const), path: name, block: fc.nat(3), value: fc.nat(9) }),
  fc.record({ do: fc.constant('snap' as const), path: name, to: name }),
  fc.record({ do: fc.constant('copy' as const), path: name, to: name }),
  fc.record({ do: fc.constant('split' as const), path: name }),
  fc.record({ do: fc.constant('redirect' as const), path: name }),
  fc.record({ do: fc.constant('unlink' as const), path: name }),
  fc.record({ do: fc.constant('rename' as const), path: name, to: name }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const root = '/gpfs/fs1/csi-data';
const at = (path: string): string => `${root}/${path}`;

/** What every file must hold, kept without any notion of blocks that are shared. */
type Contents = Map<string, Map<number, string>>;

async function act(gpfs: SimulatedGpfs, todo: Step): Promise<void> {
  switch (todo.do) {
    case 'write':
      gpfs.write(at(todo.path), todo.block, String(todo.value));
      return;
    case 'snap':
    case 'copy':
      await gpfs.run(['mmclone', todo.do, at(todo.path), at(todo.to)], 'write');
      return;
    case 'split':
    case 'redirect':
      await gpfs.run(['mmclone', todo.do, at(todo.path)], 'write');
      return;
    case 'unlink':
      await gpfs.files.unlink(at(todo.path));
      return;
    case 'rename':
      await gpfs.files.rename(at(todo.path), at(todo.to));
      return;
  }
}

function expectAfter(contents: Contents, todo: Step): void {
  const source = contents.get(todo.path) ?? new Map<number, string>();
  if (todo.do === 'write') source.set(todo.block, String(todo.value));
  if (todo.do === 'snap' || todo.do === 'copy') contents.set(todo.to, new Map(source));
  if (todo.do === 'unlink' || todo.do === 'rename') contents.delete(todo.path);
  if (todo.do === 'rename') contents.set(todo.to, source);
}

/** Whether it was done; a refusal is fine, anything else is not. */
async function isDone(gpfs: SimulatedGpfs, todo: Step): Promise<boolean> {
  try {
    await act(gpfs, todo);
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed) && errnoOf(error) === undefined) throw error;
    return false;
  }
}

const story = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' });

test('every file reads what was written to it, whatever happened to its relatives', () =>
  fc.assert(
    fc.asyncProperty(story, fc.boolean(), async (steps, redirectParent) => {
      const gpfs = simulateGpfs({ personality: { redirectParent } });
      await gpfs.files.createSparse(at('a'), 1n << 24n, 0o660);
      const contents: Contents = new Map([['a', new Map<number, string>()]]);
      for (const todo of steps) {
        if (await isDone(gpfs, todo)) expectAfter(contents, todo);
        expect(gpfs.paths()).toEqual([...contents.keys()].sort().map(at));
        for (const [path, blocks] of contents) {
          const read = [0, 1, 2, 3].map((block) => gpfs.readBlock(at(path), block));
          expect(read).toEqual([0, 1, 2, 3].map((block) => blocks.get(block)));
        }
      }
    }),
  ));

async function checkForest(gpfs: SimulatedGpfs, maxDepth: number): Promise<void> {
  const tree = gpfs.tree();
  for (const [inode, node] of tree) {
    const { links } = await gpfs.files.stat(node.path ?? '');
    expect(links).toBe(1 + node.children.length);
    expect(node.depth).toBeLessThanOrEqual(maxDepth);
    if (node.parent === undefined) continue;
    const parent = tree.get(node.parent);
    expect(parent).toMatchObject({ isParent: true });
    expect(parent?.children).toContain(inode);
    expect(node.depth).toBeGreaterThan(parent?.depth ?? Infinity);
  }
}

test('a parent has one link more than children, and depth is a bound on the way to the root', () =>
  fc.assert(
    fc.asyncProperty(story, fc.constantFrom(2, 5, 1000), async (steps, maxDepth) => {
      const gpfs = simulateGpfs({ personality: { maxDepth } });
      await gpfs.files.createSparse(at('a'), 1n << 24n, 0o660);
      for (const todo of steps) {
        await isDone(gpfs, todo);
        await checkForest(gpfs, maxDepth);
      }
    }),
  ));

test('the same steps give the same state, name for name', () =>
  fc.assert(
    fc.asyncProperty(story, async (steps) => {
      const states = [];
      for (const gpfs of [simulateGpfs(), simulateGpfs()]) {
        await gpfs.files.createSparse(at('a'), 1n << 24n, 0o660);
        for (const todo of steps) await isDone(gpfs, todo);
        states.push([
          gpfs.paths(),
          [...gpfs.tree()],
          gpfs.paths().map((path) => gpfs.hash(path)),
          gpfs.nonce(),
        ]);
      }
      expect(states[0]).toEqual(states[1]);
    }),
  ));
