import { gpfsCommands, type Gpfs } from '../../gpfs/commands.ts';
import { rootTopology, type RootTopology } from '../../model/topology.ts';
import { randomNonce, systemClock } from '../../run/clock.ts';
import { hostRun } from '../../run/host-run.ts';
import { hostFiles, hostMounts } from '../../run/host-files.ts';
import type { MmRunner } from '../../run/programs.ts';
import type { Run } from '../../run/run.ts';
import { findSimulator } from '../../simulator/disk/lifecycle/find.ts';
import { simulatedFiles } from '../../simulator/disk/files.ts';
import { openExistingRoot, type RootStore, type StoreHost } from '../../store/root.ts';
import { UsageError, runner } from './config.ts';
import { parseFlags, type Given } from './flags.ts';
import {
  readSettings,
  settingFlags,
  settingLines,
  type Environment,
  flagLines,
  type Settings,
} from './settings.ts';

/** The settings of `serve` that a command on roots takes too, besides flags of its own. */
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
  'state-dir',
  'topology',
] as const;

/** The configuration of a command on roots. */
export interface RootConfig {
  readonly roots: readonly string[];
  readonly mmDirectory: string;
  readonly mmRunner: MmRunner;
  readonly mountType: string;
  /** Undefined where it is not given: then a root may have any owner. */
  readonly owner: string | undefined;
  readonly nodeId: string;
  readonly bootIdPath: string;
  readonly machineIdPath: string;
  readonly driverName: string;
  /** Where the driver of this node keeps what it knows of its volumes. */
  readonly stateDirectory: string;
  /** How nodes report their roots to Kubernetes; undefined where they do not. */
  readonly topology: RootTopology | undefined;
}

/** A flag that only one command has. */
export interface OwnFlag {
  readonly takes: 'nothing' | 'value';
  readonly meaning: string;
}

/** The grammar of a command on roots: its name, its own flags, and the most words it takes. */
export interface RootGrammar {
  readonly command: string;
  readonly own: Readonly<Record<string, OwnFlag>>;
  readonly words: number;
  /** Whether a word that is a path names a file, and not the root. */
  readonly takesFiles?: boolean;
}

/** The parsed command line of such a command; `flags` are its own ones. */
export interface RootCommandLine extends Pick<Given, 'flags' | 'words'> {
  readonly config: RootConfig;
}

/** Reads the command line and the environment. Throws UsageError with all that is wrong. */
export function readRootFlags(
  { command, own, words, takesFiles = false }: RootGrammar,
  argv: readonly string[],
  env: Environment,
  hostName: string,
): RootCommandLine {
  const given = parseFlags({ command, flags: rootFlags({ own }), words }, argv);
  const flags = takesFiles ? given.flags : withRoot(given);
  const { settings, problems } = readSettings(rootSettings, flags, env, hostName);
  const all = [...given.problems, ...(takesFiles ? [] : twoRoots(given)), ...problems];
  if (all.length > 0 || !settings) throw new UsageError(all.join('\n'));
  return { config: toConfig(settings), flags: given.flags, words: given.words };
}

/** Every flag of such a command, and whether a value follows. */
export const rootFlags = ({ own }: Pick<RootGrammar, 'own'>) => ({
  ...settingFlags(rootSettings),
  ...Object.fromEntries(Object.entries(own).map(([name, { takes }]) => [name, takes] as const)),
});

const pathIn = ({ words }: Given): string | undefined => words.find((word) => word.startsWith('/'));

const twoRoots = (given: Given): readonly string[] =>
  given.flags.has('root') && pathIn(given) !== undefined
    ? [`"${pathIn(given) ?? ''}" and --root both name a root`]
    : [];

// A word that is a path names the root and overrides the environment; an id never begins with a slash.
function withRoot(given: Given): ReadonlyMap<string, string> {
  const root = pathIn(given);
  return root === undefined ? given.flags : new Map([...given.flags, ['root', root]]);
}

/** Lines for the help of such a command: its own flags, then those it shares with `serve`. */
export const rootHelpLines = ({ own }: RootGrammar): readonly string[] => [
  ...flagLines(Object.entries(own).map(([name, { meaning }]) => [name, meaning])),
  '',
  'These may also be environment variables, as for serve: --mm-dir is GPFS_CSI_MM_DIR. A flag comes first.',
  '',
  ...settingLines(rootSettings),
];

const toConfig = (values: Pick<Settings, (typeof rootSettings)[number]>): RootConfig => ({
  roots: values.root,
  mmDirectory: values['mm-dir'],
  mmRunner: runner(values['mm-runner'], values['proc-path']),
  mountType: values['mount-type'],
  owner: values.owner,
  nodeId: values['node-id'],
  bootIdPath: values['boot-id-path'],
  machineIdPath: values['machine-id-path'],
  driverName: values['driver-name'],
  stateDirectory: values['state-dir'],
  topology: values.topology === 'true' ? rootTopology(values['driver-name']) : undefined,
});

/** What such a command needs: this machine, or the simulator whose commands --mm-dir names. */
export interface RootHost extends StoreHost {
  readonly run: Run;
  readonly gpfs: Gpfs;
  /** Opens one root as it is, and changes nothing. Throws unavailable or misconfigured. */
  readonly open: (path: string) => Promise<RootStore>;
}

/** The machine under a command. Before its first use, only the marker of a simulator is read. */
export function rootHost({ mmDirectory, mmRunner, mountType, owner }: RootConfig): RootHost {
  const simulator = findSimulator(mmDirectory);
  const run = hostRun({ mmDirectory, mmRunner });
  const files = hostFiles();
  const host = {
    run,
    gpfs: gpfsCommands(run),
    files: simulator ? simulatedFiles(files, simulator) : files,
    lookAt: files.stat,
    mounts: hostMounts(),
    clock: systemClock,
    nonce: randomNonce,
    mountType: simulator?.mountType ?? mountType,
  };
  return { ...host, open: (path) => openExistingRoot(path, owner, host) };
}
