import { hostname } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { qemuImg } from '../linux/qemu-img.ts';
import { exportDisk, type Export } from '../service/images/export.ts';
import { openNamed, type NameIn } from '../run/named/named.ts';
import { openLocalDriver } from './command/local-driver.ts';
import { showProgress } from './command/progress.ts';
import { UsageError } from './command/config.ts';
import { trustFlag, trustIn } from './command/trust-flag.ts';
import { rootHelpLines, readRootFlags, type RootCommandLine } from './command/root-flags.ts';
import type { Subcommand } from './command/subcommand.ts';

/** What the command line of `gpfs-csi export` may hold. */
export const exportGrammar = {
  command: 'export',
  takesFiles: true,
  words: 1,
  own: {
    format: { takes: 'value', meaning: 'raw or qcow2' },
    to: { takes: 'value', meaning: 'absolute path of a new file, or - for standard output (raw)' },
    'trust-directory': trustFlag,
  },
} as const;

/** `gpfs-csi export`: writes the disk of a volume or snapshot to a file. */
export const exportCommand: Subcommand = {
  summary: 'write the data of a volume or snapshot to a file',
  help: [
    'usage: gpfs-csi export VOLUME|SNAPSHOT --format raw|qcow2 --to FILE|- --root DIR',
    '',
    'VOLUME, SNAPSHOT: NAMESPACE/NAME of the claim or VolumeSnapshot, its name, its PersistentVolume, or a handle.',
    'A volume may be in use: it is read as of one moment, through a snapshot that is deleted again. The file appears',
    'once it is complete. Ctrl-C leaves nothing behind.',
    '',
    ...rootHelpLines(exportGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(exportGrammar, argv, terminal.env, hostname());
    const wanted = askOf(line);
    await using local = await openLocalDriver(line.config);
    const { driver, store, signal, host } = local;
    await using opened = new AsyncDisposableStack();
    const to =
      wanted.to === '-'
        ? outTo(signal)
        : opened.use(await openNamed(wanted.to, trustIn(line.flags)));
    const ask = { ...wanted, to };
    const { nonce } = driver.host;
    const { snapshots } = driver;
    const qemu = qemuImg(host.run);
    {
      using shown = showProgress(`exporting ${ask.what}`, terminal, host.clock);
      const { progress } = shown;
      await exportDisk({ snapshots, nonce, store, signal, progress, qemu }, ask);
    }
    terminal.err(`${ask.what} is exported`);
    return 0;
  },
};

// The reader of standard output may have stopped: then only the signal ends a write.
const outTo = (signal: AbortSignal): Exclude<Export['to'], NameIn> => ({
  write: (bytes) => pipeline(bytes, process.stdout, { signal }),
});

function askOf({
  words,
  flags,
  config,
}: RootCommandLine): Omit<Export, 'to'> & { readonly to: string } {
  const [what] = words;
  const format = flags.get('format') ?? '';
  const to = flags.get('to') ?? '';
  const wrong: readonly (readonly [boolean, string])[] = [
    [
      what === undefined,
      'export needs a volume or snapshot: a claim, its PersistentVolume or a handle',
    ],
    [!['raw', 'qcow2'].includes(format), '--format must be raw or qcow2'],
    [!/^(?:-$|\/)/.test(to), '--to must be an absolute path, or -'],
    [
      to === '-' && format === 'qcow2',
      'standard output takes raw only: qcow2 is not written in order',
    ],
    [config.roots.length !== 1, '--root names one root, for export'],
  ];
  const problems = wrong.flatMap(([is, sentence]) => (is ? [sentence] : []));
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return { what: what ?? '', format: format === 'raw' ? 'raw' : 'qcow2', to };
}
