#!/usr/bin/env node
import { resolve } from 'node:path';
import { messageOf } from '../../model/fault.ts';
import { userRun } from '../../run/user/user-run.ts';
import { parseFlags, type Given } from '../command/flags.ts';
import { packageVersion } from '../command/version.ts';
import { supportBundles } from './bundles.ts';
import { clusterOf, PluginError, type Cluster } from './cluster.ts';
import { explain, type ExplainQuery } from './explain.ts';
import { onEach, orphans, podsOn, status, type Screen } from './fleet.ts';

const help = `kubectl gpfs: the volumes of gpfs-csi, from where kubectl works

usage: kubectl gpfs COMMAND [flags]

  explain pvc NAME         a claim: what Kubernetes says of it and what the driver of its node knows
  explain pv NAME          the same of a PersistentVolume
  explain WORD             anything else that gpfs-csi explain knows: a handle, a snapshot, a file
  status                   pods, nodes, roots, abilities, queues and versions
  tree [ARGS]              gpfs-csi tree in one pod, with its arguments behind --
  doctor [NODE]            gpfs-csi doctor on one node, or on all
  orphans                  objects without volumes, and volumes and snapshots without objects
  support-bundle --dir DIR archives of all nodes in a new directory
  version                  the version of this plugin

  -n, --namespace NAME     namespace of the claim (default: that of the context)
      --context NAME       as of kubectl; also --kubeconfig FILE
      --driver-namespace NAME   where the driver runs (default: found in all namespaces)
      --release NAME       only this release, where there are several
      --json               explain: one JSON object
      --rename             support-bundle: replace names of volumes, claims, nodes and others

It runs kubectl, which must be on PATH, and needs the right to exec into the pods of the driver. It changes nothing.
Exit status: 0 done, and healthy; 1 failed, or not healthy; 2 wrong usage.`;

const flags = {
  namespace: 'value',
  context: 'value',
  kubeconfig: 'value',
  'driver-namespace': 'value',
  release: 'value',
  json: 'nothing',
  rename: 'nothing',
  dir: 'value',
} as const;

interface Asked {
  readonly cluster: Cluster;
  readonly flags: Given['flags'];
  readonly words: readonly string[];
  /** What is behind `--`. */
  readonly rest: readonly string[];
}

type Command = (asked: Asked) => Promise<Screen>;

const choiceOf = ({ flags: given }: Asked) => ({
  namespace: given.get('driver-namespace'),
  release: given.get('release'),
});

const commands: Readonly<Record<string, Command>> = {
  explain: async (asked) => {
    const said = await explain(asked.cluster, { ...choiceOf(asked), ...explainQuery(asked) });
    return { lines: [said.text], ok: said.status === 0 };
  },
  status: (asked) => status(asked.cluster, choiceOf(asked), Date.now()),
  orphans: (asked) => orphans(asked.cluster, choiceOf(asked), Date.now()),
  tree: async (asked) => {
    const pods = await podsOn(asked.cluster, choiceOf(asked), undefined);
    const pod = pods.find(({ ready }) => ready) ?? pods[0];
    return onEach(asked.cluster, pod ? [pod] : [], ['tree', ...asked.words, ...asked.rest]);
  },
  doctor: async (asked) => {
    const pods = await podsOn(asked.cluster, choiceOf(asked), asked.words[0]);
    return onEach(asked.cluster, pods, ['doctor', ...asked.rest]);
  },
  'support-bundle': async (asked) => {
    const dir = asked.flags.get('dir');
    if (dir === undefined)
      throw new PluginError('support-bundle needs --dir DIR, a new directory', 2);
    const query = {
      ...choiceOf(asked),
      directory: resolve(dir),
      rename: asked.flags.has('rename'),
    };
    const lines = await supportBundles(asked.cluster, query);
    return { lines: [...lines, `all of it is in ${query.directory}`], ok: !lines.some(isMissing) };
  },
  version: () => Promise.resolve({ lines: [packageVersion()], ok: true }),
};

const isMissing = (line: string): boolean => line.includes('.tar.gz could not be had');

const kinds: Readonly<Record<string, 'pvc' | 'pv'>> = {
  pvc: 'pvc',
  persistentvolumeclaim: 'pvc',
  pv: 'pv',
  persistentvolume: 'pv',
};

function explainQuery({ words, flags: given }: Asked): Omit<ExplainQuery, 'namespace' | 'release'> {
  const [kind, name] = kindAndName(words);
  return { kind, name, claimNamespace: given.get('namespace'), json: given.has('json') };
}

/** A word that begins with a dash would be a flag of kubectl, or of the driver. */
function kindAndName(words: readonly string[]): readonly [ExplainQuery['kind'], string] {
  const kind = words.length === 1 ? 'word' : kinds[words[0] ?? ''];
  const name = words.at(-1) ?? '';
  if (kind !== undefined && /^[^-]/.test(name)) return [kind, name];
  throw new PluginError('explain takes pvc NAME, pv NAME, or one word that the driver knows', 2);
}

/** The flags that kubectl gets in front of each command. */
const passed = (given: Given['flags']): readonly string[] =>
  (['context', 'kubeconfig'] as const).flatMap((flag) => {
    const value = given.get(flag);
    return value === undefined ? [] : [`--${flag}=${value}`];
  });

async function main([name = '', ...argv]: readonly string[]): Promise<number> {
  if (['', 'help', '--help'].includes(name) || argv.includes('--help')) return say(help);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new PluginError(`${JSON.stringify(name)} is not a command`, 2);
  const { given, rest } = readLine(name, argv);
  const screen = await command({
    cluster: clusterOf(userRun(process.env), passed(given.flags)),
    flags: given.flags,
    words: given.words,
    rest,
  });
  say(screen.lines.join('\n'));
  return screen.ok ? 0 : 1;
}

function readLine(command: string, argv: readonly string[]) {
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  const long = own.map((word) => (word === '-n' ? '--namespace' : word));
  const given = parseFlags({ command, flags, words: 2 }, long);
  if (given.problems.length > 0) throw new PluginError(given.problems.join('\n'), 2);
  return { given, rest: end < 0 ? [] : argv.slice(end + 1) };
}

function say(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

// A reader such as `head` may stop early; that is no failure.
process.stdout.on('error', () => undefined);

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  const known = error instanceof PluginError;
  const usage = known && error.status === 2 ? '\nkubectl gpfs --help tells how it is used' : '';
  process.stderr.write(`kubectl gpfs: ${messageOf(error)}${usage}\n`);
  return known ? error.status : 1;
});
