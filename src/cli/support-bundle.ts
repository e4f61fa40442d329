import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isAbsolute } from 'node:path';
import { messageOf } from '../model/fault.ts';
import { isSecretName, scrubber } from '../observe/scrub.ts';
import { hostRun } from '../run/host-run.ts';
import { programs, systemPath } from '../run/programs.ts';
import { collect, type BundlePart } from './bundle/collect.ts';
import { metricsText, metricsUrl } from './bundle/metrics.ts';
import { intoNewFile } from './bundle/output.ts';
import { endOf, logBytes, podLog } from './bundle/pod-log.ts';
import { outputOf } from './bundle/output-of.ts';
import { learnNames, recordLines } from './bundle/records.ts';
import { renamer, type Renamer } from './bundle/renamer.ts';
import { gpfsFacts, kernelLines, systemFacts } from './bundle/system.ts';
import { UsageError } from './command/config.ts';
import {
  rootHelpLines,
  rootHost,
  readRootFlags,
  type RootCommandLine,
  type RootHost,
} from './command/root-flags.ts';
import { allSettings, readSettings, type Environment } from './command/settings.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { trustFlag, trustIn } from './command/trust-flag.ts';
import { packageVersion } from './command/version.ts';
import { doctor } from './doctor.ts';
import { historyCommand } from './history.ts';
import { tree } from './tree.ts';

const bundleGrammar = {
  command: 'support-bundle',
  takesFiles: true,
  own: {
    file: { takes: 'value', meaning: 'absolute path of a new .tar.gz, or - for standard output' },
    rename: { takes: 'nothing', meaning: 'replace names of volumes, claims, nodes and others' },
    salt: {
      takes: 'value',
      meaning: 'with --rename: the same text replaces names alike on each node (default: random)',
    },
    log: {
      takes: 'value',
      meaning: 'absolute path of a log of the driver (default: that of its pod)',
    },
    'trust-directory': trustFlag,
  },
  words: 0,
} as const;

/** How long one part may take, in ms. */
const partMs = 120_000;

/** `gpfs-csi support-bundle`: everything for a ticket, of one node. */
export const supportBundle: Subcommand = {
  summary: 'collect what a ticket needs of this node in one archive, without secrets',
  help: [
    'usage: gpfs-csi support-bundle --file FILE|- [--rename] [flags]',
    '',
    'Configuration, doctor, clone trees, records, the end of the log, what GPFS says, kernel and tools, metrics. What',
    'cannot be had is named in MANIFEST.txt of the archive, which stays under 20 MiB. Nothing is changed.',
    'Exit status: 0 written, 1 failed, 2 wrong usage.',
    '',
    ...rootHelpLines(bundleGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(bundleGrammar, argv, terminal.env, hostname());
    const file = fileIn(line);
    const host = rootHost(line.config);
    const rename = line.flags.has('rename')
      ? renamer(line.flags.get('salt') ?? randomBytes(16).toString('hex'))
      : undefined;
    const names = rename ? await learnAll(line, host, rename) : undefined;
    await intoNewFile(file, trustIn(line.flags), () =>
      collect(partsOf({ line, host, terminal, names }), {
        scrub: scrubber(secretsIn(terminal.env)),
        rename,
        limitMs: partMs,
        nowMs: Date.now(),
        title: titleOf(line, rename),
      }),
    );
    if (file !== '-') terminal.err(`${file} is written; MANIFEST.txt in it lists what it holds`);
    return 0;
  },
};

function fileIn({ flags }: RootCommandLine): string {
  const file = flags.get('file');
  const log = flags.get('log');
  if (file === undefined) throw new UsageError('support-bundle needs --file FILE');
  if (file !== '-' && !isAbsolute(file))
    throw new UsageError(`--file takes an absolute path or -, not "${file}"`);
  if (log !== undefined && !isAbsolute(log))
    throw new UsageError(`--log takes an absolute path, not "${log}"`);
  if (flags.has('salt') && !flags.has('rename'))
    throw new UsageError('--salt is for --rename, which is not given');
  return file;
}

/** Values that this process was given under the name of a secret: none is the driver's, and none may leave the node. */
const secretsIn = (env: Environment): readonly string[] =>
  Object.entries(env).flatMap(([name, value]) => (value && isSecretName(name) ? [value] : []));

/** Why names could not be read, so that texts which hold them are left out; undefined where all were. */
async function learnAll(
  { config }: RootCommandLine,
  { open }: RootHost,
  rename: Renamer,
): Promise<string | undefined> {
  rename.learn('node', config.nodeId);
  rename.learn('node', hostname());
  try {
    for (const root of config.roots) await learnNames(await open(root), rename);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function titleOf({ config }: RootCommandLine, rename: Renamer | undefined): readonly string[] {
  const title = `gpfs-csi support bundle of node ${config.nodeId}`;
  return [
    rename ? rename.text(title) : title,
    `version ${packageVersion()}, made ${new Date().toISOString()}`,
  ];
}

/** What the parts of a bundle are read from. */
interface Sources {
  readonly line: RootCommandLine;
  readonly host: RootHost;
  readonly terminal: Terminal;
  /** Why names that should be replaced are not known. */
  readonly names: string | undefined;
}

const MiB = 1024 ** 2;

function partsOf(sources: Sources): readonly BundlePart[] {
  const { line, host, terminal, names } = sources;
  const { config } = line;
  const { mmDirectory, mmRunner } = config;
  const begun = { keep: 'beginning', most: MiB } as const;
  const own = (command: Subcommand, ...flags: readonly string[]) =>
    outputOf(command, [...flags, ...rootFlagsOf(line)], terminal.env);
  const place = programs({ mmDirectory, mmRunner, searchPath: systemPath });
  const run = hostRun({ mmDirectory, mmRunner, maxOutput: 8 * MiB });
  return [
    {
      ...begun,
      name: 'config.json',
      what: 'settings of the driver',
      read: () => Promise.resolve(settingsIn(sources)),
    },
    {
      ...begun,
      name: 'system.json',
      what: 'kernel, Node and tools',
      read: () => systemFacts(run, place),
    },
    {
      ...begun,
      name: 'gpfs.json',
      what: 'what GPFS says',
      read: () => gpfsFacts(host, config.roots),
    },
    {
      ...begun,
      name: 'nodes.json',
      what: 'all nodes, by what they left in the roots',
      read: () => own(doctor, '--all-nodes', '--json'),
    },
    {
      ...begun,
      name: 'doctor.json',
      what: 'checks of this node and its roots',
      most: 8 * MiB,
      read: () => own(doctor, '--no-probe', '--json'),
    },
    {
      ...begun,
      name: 'kernel.log',
      what: 'lines of the kernel about loop devices and file systems',
      keep: 'end',
      read: () => kernelLines(run),
    },
    {
      ...begun,
      name: 'metrics.txt',
      what: 'metrics of the server',
      most: 4 * MiB,
      read: () => metricsOf(sources),
    },
    ...config.roots.map((root, n) => ({
      ...begun,
      name: `root-${n}/records.jsonl`,
      what: `records of ${root}`,
      most: 16 * MiB,
      read: async () => recordLines(await host.open(root)),
    })),
    {
      ...begun,
      name: 'history.json',
      what: 'what the driver did in the last day',
      most: 4 * MiB,
      read: () => own(historyCommand, '--since', '24h', '--json'),
    },
    {
      ...begun,
      name: 'tree.json',
      what: 'clone trees',
      most: 16 * MiB,
      read: () => own(tree, '--json'),
    },
    {
      ...begun,
      name: 'driver.log',
      what: 'the end of the log',
      keep: 'end',
      most: logBytes,
      read: () => logOf(line, names),
    },
  ];
}

function settingsIn({ line, terminal }: Sources): object {
  const given = new Map(
    [...line.flags].filter(([flag]) => allSettings.some((each) => each === flag)),
  );
  const { settings, problems } = readSettings(allSettings, given, terminal.env, hostname());
  return { settings: settings ?? {}, problems };
}

/** The flags of the command line that other commands on roots take too. */
const rootFlagsOf = ({ flags }: RootCommandLine): readonly string[] =>
  [...flags].flatMap(([flag, value]) =>
    allSettings.some((each) => each === flag) ? [`--${flag}`, value] : [],
  );

function metricsOf({ terminal, line }: Sources): Promise<string> {
  const names = ['http-port', 'http-address'] as const;
  const { settings } = readSettings(names, new Map(), terminal.env, line.config.nodeId);
  if (!settings || settings['http-port'] === 0)
    return Promise.reject(
      new Error('this environment names no port of the server (GPFS_CSI_HTTP_PORT)'),
    );
  return metricsText(metricsUrl(settings['http-address'], settings['http-port']));
}

function logOf({ flags, config }: RootCommandLine, unnamed: string | undefined): Promise<string> {
  // A log has names in its sentences, and those that are not known could not be replaced.
  if (unnamed !== undefined)
    return Promise.reject(
      new Error(`left out, because the names to replace are not known: ${unnamed}`),
    );
  const log = flags.get('log');
  if (log !== undefined) return endOf(log, logBytes);
  const { mmRunner } = config;
  if (mmRunner.kind === 'nsenter') return podLog(mmRunner.procPath, hostname());
  return Promise.reject(
    new Error('this driver does not see the files of its host; name the log with --log'),
  );
}
