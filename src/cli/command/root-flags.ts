import { gpfsCommands, type Gpfs } from '../../gpfs/commands.ts';
import { rootTopology, type RootTopology } from '../../model/topology.ts';
import { randomNonce, systemClock } from '../../run/clock.ts';
import { hostRun } from '../../run/host-run.ts';
import { hostFiles, hostMounts } from '../../run/host-files.ts';
import type { MmRunner } from '../../run/programs.ts';
import type { Run } from '../../run/run.ts';
import { findSimulator } from '../../simulator/disk/lifecycle/find.ts';
import { simulatedFiles } from '../../simulator/disk/guarded-files.ts';
import { openExistingRoot, type RootStore, type StoreHost } from '../../store/root.ts';
import { UsageError, runner } from './config.ts';
import { parseFlags, type Given } from './flags.ts';
import {
  readSettings,
  settingFlags,
  settingLines,
  type Environment,
  type FlagLine,
  type Settings,
} from './settings.ts';

/** What a command that looks at roots takes besides flags of its own: a part of what `serve` takes. */
const rootSettings = [
  'root',
  'mm-dir',
  'mm-runner',
  'proc-path',
  'mount-type',
  'owner',
  'node-id',
  'boot-id-path',
  'machine-id-path',
  'driver-name',
  'topology',
] as const;

/** How a command looks at roots. */
export interface RootConfig {
  readonly roots: readonly string[];
  readonly mmDirectory: string;
  readonly mmRunner: MmRunner;
  readonly mountType: string;
  /** Undefined where it was not said: then a root may belong to anybody. */
  readonly owner: string | undefined;
  readonly nodeId: string;
  readonly bootIdPath: string;
  readonly machineIdPath: string;
  readonly driverName: string;
  /** How the roots are told to Kubernetes; undefined where they are not. */
  readonly topology: RootTopology | undefined;
}

/** A flag that is one command's alone: on or off, or followed by a value. */
export interface OwnFlag {
  readonly takes: 'nothing' | 'value';
  readonly meaning: string;
}

/** A command that looks at roots: its name, flags of its own, and how many words it takes. */
export interface RootGrammar {
  readonly command: string;
  readonly own: Readonly<Record<string, OwnFlag>>;
  readonly words: number;
  /** A word that is a path names a file, and not the root. */
  readonly takesFiles?: boolean;
}

/** A command line of such a command, understood; `flags` are those of its own. */
export interface RootCommandLine extends Pick<Given, 'flags' | 'words'> {
  readonly config: RootConfig;
}

/** Reads a command line and environment. Throws UsageError with all that is wrong. */
export function readRootFlags(
  { command, own, words, takesFiles = false }: RootGrammar,
  argv: readonly string[],
  env: Environment,
  hostName: string,
): RootCommandLine {
  const given = parseFlags({ command, flags: rootFlags({ own }), words }, argv);
  const told = takesFiles ? given.flags : withRoot(given);
  const { settings, problems } = readSettings(rootSettings, told, env, hostName);
  const all = [...given.problems, ...(takesFiles ? [] : twoRoots(given)), ...problems];
  if (all.length > 0 || !settings) throw new UsageError(all.join('\n'));
  return { config: toConfig(settings), flags: given.flags, words: given.words };
}

/** Every flag that such a command takes, and what follows each. */
export const rootFlags = ({ own }: Pick<RootGrammar, 'own'>) => ({
  ...settingFlags(rootSettings),
  ...Object.fromEntries(Object.entries(own).map(([name, { takes }]) => [name, takes] as const)),
});

const pathIn = ({ words }: Given): string | undefined => words.find((word) => word.startsWith('/'));

const twoRoots = (given: Given): readonly string[] =>
  given.flags.has('root') && pathIn(given) !== undefined
    ? [`"${pathIn(given) ?? ''}" and --root both name a root`]
    : [];

// A word that is a path names the root, whatever the environment says; an id never begins so.
function withRoot(given: Given): ReadonlyMap<string, string> {
  const root = pathIn(given);
  return root === undefined ? given.flags : new Map([...given.flags, ['root', root]]);
}

/** Lines for the help of such a command: its own flags, then those it shares with `serve`. */
export const rootHelpLines = ({ own }: RootGrammar): readonly string[] => [
  ...Object.entries(own).map(([name, { meaning }]) => line([`--${name}`, meaning])),
  '',
  'These may also be set as variables, as for serve: --mm-dir is GPFS_CSI_MM_DIR.',
  '',
  ...settingLines(rootSettings).map(line),
];

const line = ([flag, meaning]: FlagLine): string => `  ${flag.padEnd(24)}${meaning}`;

const toConfig = (told: Pick<Settings, (typeof rootSettings)[number]>): RootConfig => ({
  roots: told.root,
  mmDirectory: told['mm-dir'],
  mmRunner: runner(told['mm-runner'], told['proc-path']),
  mountType: told['mount-type'],
  owner: told.owner,
  nodeId: told['node-id'],
  bootIdPath: told['boot-id-path'],
  machineIdPath: told['machine-id-path'],
  driverName: told['driver-name'],
  topology: told.topology === 'true' ? rootTopology(told['driver-name']) : undefined,
});

/** What such a command stands on: this machine, or the simulator whose commands were named. */
export interface RootHost extends StoreHost {
  readonly run: Run;
  readonly gpfs: Gpfs;
  /** Opens one root as it is; makes nothing. Throws unavailable or misconfigured. */
  readonly open: (path: string) => Promise<RootStore>;
}

/** The machine under a command. Nothing is read or run before it is first used, but for the simulator's marker. */
export function rootHost({ mmDirectory, mmRunner, mountType, owner }: RootConfig): RootHost {
  const simulator = findSimulator(mmDirectory);
  const run = hostRun({ mmDirectory, mmRunner });
  const files = hostFiles();
  const host = {
    run,
    gpfs: gpfsCommands(run),
    files: simulator ? simulatedFiles(files, simulator) : files,
    mounts: hostMounts(),
    clock: systemClock,
    nonce: randomNonce,
    mountType: simulator?.mountType ?? mountType,
  };
  return { ...host, open: (path) => openExistingRoot(path, owner, host) };
}
