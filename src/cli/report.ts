import { hostname } from 'node:os';
import { counted } from '../model/bytes.ts';
import { packFile, type ReportData, type ReportRoot } from '../model/report/data.ts';
import { reportHtml } from '../model/report/html.ts';
import { systemClock } from '../run/clock.ts';
import { openNamed } from '../run/named/named.ts';
import { newFile } from '../run/streams.ts';
import { examineNode, examineRoot, type Examination } from '../service/doctor/examine.ts';
import { readFleet } from '../service/forest/fleet.ts';
import { UsageError } from './command/config.ts';
import {
  readRootFlags,
  rootHelpLines,
  rootHost,
  type RootCommandLine,
} from './command/root-flags.ts';
import type { Subcommand } from './command/subcommand.ts';
import { trustFlag, trustIn } from './command/trust-flag.ts';
import { packageVersion } from './command/version.ts';
import { examination } from './doctor.ts';
import { pageParts } from './forest/page.ts';
import { openRoots, readRoots, type ReadRoot } from './forest/roots.ts';

const reportGrammar = {
  command: 'report',
  own: {
    html: { takes: 'value', meaning: 'FILE: the page to write, as an absolute path' },
    force: { takes: 'nothing', meaning: 'replace the file if it is there' },
    'trust-directory': trustFlag,
  },
  words: 0,
} as const;

/** `gpfs-csi report`: everything about roots in one page that opens in a browser, without a server. */
export const report: Subcommand = {
  summary: 'write a page with clone trees, space, and what the doctor finds',
  help: [
    'usage: gpfs-csi report --html FILE [flags]',
    '',
    'Writes one file that a browser opens without a network: clone trees, space, the findings of the doctor, nodes,',
    'abilities and queues. It shows names and handles of volumes and nodes, and no data. Nothing is changed: the',
    'doctor runs without a probe. docs/report.md explains the page.',
    '',
    ...rootHelpLines(reportGrammar),
    '',
    'Exit status: 0 written, 1 not written, 2 wrong usage.',
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(reportGrammar, argv, terminal.env, hostname());
    const path = line.flags.get('html') ?? '';
    if (!path.startsWith('/')) throw new UsageError('--html must be the absolute path of a file');
    await using to = await openNamed(path, trustIn(line.flags));
    const write = await newFile(to, {
      mode: 0o640,
      replace: line.flags.has('force'),
      otherwise: 'choose another name, or replace it with --force',
    });
    const data = await collect(line);
    await write(reportHtml(await pageParts(), data));
    const files = data.roots.reduce((sum, root) => sum + root.files.length, 0);
    terminal.err(
      `${path} shows ${counted(files, 'file')} in ${counted(data.roots.length, 'root')}`,
    );
    return 0;
  },
};

async function collect({ config }: RootCommandLine): Promise<ReportData> {
  const host = examination({ config, flags: new Map([['no-probe', '']]) }, () => undefined);
  const roots = await readRoots(await openRoots(rootHost(config), config.roots));
  const shown: ReportRoot[] = [];
  for (const root of roots) shown.push(await rootData(host, root));
  return {
    madeMs: systemClock.now(),
    node: config.nodeId,
    version: packageVersion(),
    checks: await examineNode(host),
    roots: shown,
  };
}

async function rootData(
  host: Examination,
  { store, forest, problems }: ReadRoot,
): Promise<ReportRoot> {
  const path = store.layout.root;
  const { total, available } = await store.files.space(path);
  const { nodes, queue, probe } = await readFleet(host, path);
  return {
    path,
    id: store.id,
    totalBytes: Number(total),
    freeBytes: Number(available),
    checks: await examineRoot(host, path),
    fleet: { nodes, queue, probe },
    problems,
    files: [...forest.nodes.values()].map(packFile),
  };
}
