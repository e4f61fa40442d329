import type { LocateProgram } from '../programs.ts';
import { inheritedPath, type RunOptions } from '../run.ts';
import { confinementOf, wordsBefore, type Confinement } from './confinements.ts';
import { openNode } from './device-nodes.ts';

type Argv = readonly [string, ...string[]];

/** A command that can be started. */
export interface Prepared {
  /** With full paths. */
  readonly command: Argv;
  /** Descriptors that it inherits, from `firstInherited` on. */
  readonly files: readonly number[];
  /** Closes what was opened for it; after its start, since a process has descriptors of its own. */
  readonly close: () => Promise<void>;
}

/** Finds the program of a command, and confines one that reads bytes of tenants. Rejects where a program is missing. */
export const confiner =
  (place: LocateProgram) =>
  async (argv: Argv, options: RunOptions): Promise<Prepared> => {
    const files = (options.files ?? []).map(({ fd }) => fd);
    const limits = limitsOf(argv[0], options);
    if (!limits) return { command: await place(argv), files, close: nothing };
    const before = await Promise.all(wordsBefore(limits).map(place));
    const [file, ...args] = await place(argv);
    const { device } = options;
    const joined = (own: readonly string[]): Argv =>
      [...before.flat(), file, ...own] as unknown as Argv;
    if (limits.rights !== 'descriptors' || device === undefined)
      return { command: joined(args), files, close: nothing };
    const node = await openNode(place, device);
    const named = args.map((each) => (each === device ? inheritedPath(files.length) : each));
    return { command: joined(named), files: [...files, node.fd], close: () => node.close() };
  };

function limitsOf(program: string, options: RunOptions): Confinement | undefined {
  const limits = confinementOf(program);
  if (!limits) return undefined;
  const { cpuSeconds = limits.cpuSeconds } = options;
  return { ...limits, cpuSeconds, rights: options.rights === 'all' ? 'all' : limits.rights };
}

const nothing = (): Promise<void> => Promise.resolve();
