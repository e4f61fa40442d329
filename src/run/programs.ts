import { access, constants } from 'node:fs/promises';

/** Where mm commands run: in the driver's namespaces, or in those of a process of the host. */
export type MmRunner =
  { readonly kind: 'direct' } | { readonly kind: 'nsenter'; readonly procPath: string };

/** Where programs are found. */
export interface Places {
  readonly mmDirectory: string;
  readonly mmRunner: MmRunner;
  /** Directories of the host tools, in the order in which they are tried; never the PATH of the driver's parent. */
  readonly searchPath: readonly string[];
}

/** The directories where distributions have their tools. */
export const systemPath: readonly string[] = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Turns a command as the driver names it into full path and arguments. Rejects with ENOENT when it is missing. */
export type LocateProgram = (
  argv: readonly [string, ...string[]],
) => Promise<readonly [string, ...string[]]>;

/** True for commands of GPFS. */
export const isMmCommand = (name: string): boolean => name.startsWith('mm');

/** Finds programs in these places and remembers them. */
export function programs(places: Places): LocateProgram {
  const known = new Map<string, string>();
  const find = async (name: string): Promise<string> => {
    if (name.startsWith('/')) return name;
    const path = known.get(name) ?? (await search(name, places.searchPath));
    known.set(name, path);
    return path;
  };
  return async ([name, ...args]) => {
    if (!isMmCommand(name)) return [await find(name), ...args];
    const command = [`${places.mmDirectory}/${name}`, ...args] as const;
    if (places.mmRunner.kind === 'direct') return command;
    return [await find('nsenter'), ...enterArguments(places.mmRunner.procPath), ...command];
  };
}

async function search(name: string, directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  const message = `${name} is not installed in ${directories.join(', ')}`;
  throw Object.assign(new Error(message), { code: 'ENOENT' });
}

// Not the pid namespace: mm commands signal only their own processes, and entering it would fork, so that a
// kill would end nsenter but not the command.
const enterArguments = (procPath: string): readonly string[] => [
  `--mount=${procPath}/ns/mnt`,
  `--net=${procPath}/ns/net`,
  `--uts=${procPath}/ns/uts`,
  `--ipc=${procPath}/ns/ipc`,
  '--',
];
