import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { sectorBytesIn } from '../linux/disk-head.ts';
import { hostTrials } from '../linux/trials.ts';
import { isHealthy, type Check } from '../model/audit/check.ts';
import {
  fleetText,
  isFleetHealthy,
  type FleetReport,
  type FleetRoot,
} from '../model/audit/fleet.ts';
import { plainName } from '../model/forest/words.ts';
import { silentLog } from '../observe/log.ts';
import type { Clock } from '../run/clock.ts';
import { programs, systemPath } from '../run/programs.ts';
import { readFleet } from '../service/forest/fleet.ts';
import { examineNode, examineRoot, type Examination } from '../service/doctor/examine.ts';
import { visitorInstance } from '../service/probe/area.ts';
import { findSimulator } from '../simulator/disk/lifecycle/find.ts';
import { simulatedTrials } from '../simulator/disk/trials.ts';
import { UsageError } from './command/config.ts';
import {
  rootHost,
  rootHelpLines,
  readRootFlags,
  type RootCommandLine,
  type RootConfig,
} from './command/root-flags.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { packageVersion } from './command/version.ts';

const doctorGrammar = {
  command: 'doctor',
  own: {
    json: { takes: 'nothing', meaning: 'one JSON object on standard output' },
    'no-probe': {
      takes: 'nothing',
      meaning: 'show the result of an earlier probe instead of probing again',
    },
    'two-nodes': {
      takes: 'nothing',
      meaning: 'probe with a second node whether a volume can be redirected while it is in use',
    },
    'all-nodes': {
      takes: 'nothing',
      meaning:
        'every node that uses the roots, by what its server left there; nothing else is checked',
    },
    repair: {
      takes: 'nothing',
      meaning: 'make records from files, correct parents and edges, set unknown files aside',
    },
    'min-age': {
      takes: 'value',
      meaning: 'minutes; a repair leaves younger files and records alone (default: 60)',
    },
  },
  words: 0,
} as const;

/** `gpfs-csi doctor`: checks this node and roots, and says what to do. */
export const doctor: Subcommand = {
  summary: 'check this node and its roots, and repair records with --repair',
  help: [
    'usage: gpfs-csi doctor --root DIR[,DIR] [flags]',
    '',
    'Without --repair nothing is changed, except that the probe makes tiny files and removes them again.',
    'Exit status: 0 healthy, 1 not healthy, 2 wrong usage.',
    '',
    ...rootHelpLines(doctorGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(doctorGrammar, argv, terminal.env, hostname());
    const json = line.flags.has('json');
    if (line.flags.has('all-nodes')) return allNodes(line, terminal);
    const report = json ? silentReport : textReport(terminal);
    const repairs: string[] = [];
    const host = examination(line, (sentence) => {
      repairs.push(sentence);
      report.did(sentence);
    });
    const on = whereOn(line);
    if (!json) terminal.out(titleOf(on));
    const node = await examineNode(host);
    report.section('this node', node);
    const roots: { readonly root: string; readonly checks: readonly Check[] }[] = [];
    for (const root of line.config.roots) {
      const checks = await examineRoot(host, root);
      report.section(root, checks);
      roots.push({ root, checks });
    }
    const healthy = isHealthy([...node, ...roots.flatMap(({ checks }) => checks)]);
    if (json) terminal.out(JSON.stringify({ on, healthy, node, roots, repairs }));
    else terminal.out(healthy ? '\nhealthy' : '\nnot healthy');
    return healthy ? 0 : 1;
  },
};

/** The node and the version that answer: `kubectl exec` may have reached any pod. */
const whereOn = ({ config }: RootCommandLine): FleetReport['on'] => ({
  node: config.nodeId,
  version: packageVersion(),
});

const titleOf = ({ node, version }: FleetReport['on']): string =>
  `gpfs-csi doctor on node ${plainName(node)}, version ${version}`;

/** What servers left in the roots; exit status as of the other checks. */
async function allNodes(line: RootCommandLine, terminal: Terminal): Promise<number> {
  const { config, flags } = line;
  const others = ['repair', 'two-nodes'].filter((flag) => flags.has(flag));
  if (others.length > 0)
    throw new UsageError(`--all-nodes and --${others.join(' and --')} exclude each other`);
  const { open } = rootHost(config);
  const roots: FleetRoot[] = [];
  for (const root of config.roots) roots.push(await readFleet({ open, clock }, root));
  const healthy = isFleetHealthy(roots);
  const on = whereOn(line);
  if (flags.has('json')) terminal.out(JSON.stringify({ on, healthy, roots }));
  else {
    terminal.out(titleOf(on));
    for (const root of roots) terminal.out(fleetText(root, clock.now()).join('\n'));
    terminal.out(healthy ? '\nhealthy' : '\nnot healthy');
  }
  return healthy ? 0 : 1;
}

// A command must wait for its timers, while those of a server do not keep it alive.
const clock: Clock = { now: () => Date.now(), sleep: (ms) => sleep(ms) };

/** What the checks of this node and its roots need, as the flags of `doctor` say. */
export function examination(
  { config, flags }: Pick<RootCommandLine, 'config' | 'flags'>,
  onRepair: (sentence: string) => void,
): Examination {
  const host = rootHost(config);
  const simulator = findSimulator(config.mmDirectory);
  const trials = hostTrials(host.run, clock);
  const { nonce } = host;
  return {
    ...host,
    clock,
    clone: host.gpfs.clone,
    trials: simulator ? simulatedTrials(trials, simulator) : trials,
    log: silentLog,
    self: { node: config.nodeId, instance: visitorInstance(nonce), version: packageVersion() },
    place: programs(placesOf(config)),
    probe: !flags.has('no-probe'),
    twoNodes: flags.has('two-nodes'),
    mend: flags.has('repair')
      ? { minAgeMs: minAgeMs(flags.get('min-age')), sectorBytes: sectorBytesIn }
      : undefined,
    onRepair,
  };
}

const placesOf = ({ mmDirectory, mmRunner }: RootConfig) => ({
  mmDirectory,
  mmRunner,
  searchPath: systemPath,
});

function minAgeMs(text = '60'): number {
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--min-age takes minutes, not "${text}"`);
  return Number(text) * 60_000;
}

interface Report {
  section(title: string, checks: readonly Check[]): void;
  did(sentence: string): void;
}

const silentReport: Report = { section: () => undefined, did: () => undefined };

const words = { ok: 'ok', note: 'note', warning: 'WARNING', failed: 'FAILED' } as const;

const textReport = ({ out }: Terminal): Report => ({
  section: (title, checks) => {
    out(title);
    for (const { name, status, says } of checks)
      out(`  ${words[status].padEnd(8)} ${name.padEnd(13)} ${says}`);
  },
  did: (sentence) => {
    out(`  did      ${'repair'.padEnd(13)} ${sentence}`);
  },
});
