import { errnoError, type Files, type Range } from '../../../src/run/files.ts';
import type { Mount } from '../../../src/run/mounts.ts';
import type { Run } from '../../../src/run/run.ts';
import { simulateGpfs, type SimulatedGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { blockBytes } from '../../../src/simulator/memory/visible-files.ts';
import type { View } from './driver.ts';

/** The ports of a driver on one node. */
type Ports = Pick<View, 'run' | 'files' | 'mounts' | 'clock' | 'nonce'>;

/** Several file systems of one cluster, each mounted on some of its nodes. */
export interface FileSystems {
  /** A root in each of them, in their order. */
  readonly roots: readonly string[];
  /** Sets which file systems a node has mounted, by their position. At first it has none. */
  mount(node: string, which: readonly number[]): void;
  on(node: string): Ports;
  /** All files below the roots, also where they are not mounted. */
  paths(): readonly string[];
}

/** Several simulated file systems. Each call goes to the one that its path or device names. */
export async function fileSystems(count: number): Promise<FileSystems> {
  const all = Array.from({ length: count }, (_, n) =>
    simulateGpfs({ device: `fs${n + 1}`, seed: n + 1 }),
  );
  const roots = all.map(({ filesetPath }) => `${filesetPath}/csi`);
  for (const [n, gpfs] of all.entries()) await gpfs.files.makeDirectory(roots[n] ?? '', 0o750);
  const mounted = new Map<string, readonly SimulatedGpfs[]>();
  const has = (node: string): readonly SimulatedGpfs[] => mounted.get(node) ?? [];
  return {
    roots,
    mount: (node, which) => {
      mounted.set(
        node,
        all.filter((_, n) => which.includes(n)),
      );
    },
    on: (node) => portsOf(all, node, () => has(node)),
    paths: () => all.flatMap((gpfs) => gpfs.paths()),
  };
}

function portsOf(
  all: readonly SimulatedGpfs[],
  node: string,
  here: () => readonly SimulatedGpfs[],
): Ports {
  const [first] = all;
  if (!first) throw new Error('a cluster has a file system');
  const { clock } = first;
  const { nonce } = first.server(node);
  return { clock, nonce, run: runOf(all, node), files: filesOf(node, here), mounts };

  async function mounts(): Promise<readonly Mount[]> {
    const [plain] = (await first?.server(node).mounts()) ?? [];
    const gpfs = here().map(async (each) => (await each.server(node).mounts()).slice(1));
    return [...(plain ? [plain] : []), ...(await Promise.all(gpfs)).flat()];
  }
}

const isOf = (path: string, { mountPoint }: SimulatedGpfs): boolean =>
  path === mountPoint || path.startsWith(`${mountPoint}/`);

const runOf =
  (all: readonly SimulatedGpfs[], node: string): Run =>
  (argv, ...rest) => {
    const meant = all.find((each) =>
      argv.some((word) => isOf(word, each) || each.mountPoint.endsWith(`/${word}`)),
    );
    const run = (meant ?? all[0])?.server(node).run;
    if (!run) throw new Error('a cluster has a file system');
    return run(argv, ...rest);
  };

function filesOf(node: string, here: () => readonly SimulatedGpfs[]): Files {
  const of = (path: string, call: string): SimulatedGpfs => {
    const found = here().find((each) => isOf(path, each));
    if (found) return found;
    // What lies under a mount point is an empty directory of the node itself.
    throw errnoError('ENOENT', call, path);
  };
  const calls = Object.keys(simulateGpfs().files) as (keyof Files)[];
  const routed = calls.map((call) => [
    call,
    async (path: string, ...rest: unknown[]): Promise<unknown> => {
      const files = of(path, call).server(node).files;
      const act = files[call] as (path: string, ...rest: unknown[]) => Promise<unknown>;
      return act(path, ...rest);
    },
  ]);
  const files = Object.fromEntries(routed) as Files;
  return {
    ...files,
    copyRange: async (from, to, range, may) => {
      const [source, target] = [of(from, 'open'), of(to, 'open')];
      if (source === target) return files.copyRange(from, to, range, may);
      await may();
      copyBlocks(source, from, target, to, range);
    },
    link: async (existing, path) => {
      if (of(existing, 'link') !== of(path, 'link')) throw errnoError('EXDEV', 'link', path);
      return files.link(existing, path);
    },
  };
}

function copyBlocks(
  source: SimulatedGpfs,
  from: string,
  target: SimulatedGpfs,
  to: string,
  { offset, length }: Range,
): void {
  const [first, end] = [offset / blockBytes, (offset + length) / blockBytes];
  for (let block = Number(first); block < Number(end); block += 1) {
    const value = source.readBlock(from, block);
    if (value !== undefined) target.write(to, block, value);
  }
}
