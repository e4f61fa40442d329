import { basename } from 'node:path';
import { hostname } from 'node:os';
import { losetup } from '../linux/losetup.ts';
import { processesWith } from '../linux/open-files.ts';
import { publicId } from '../model/ids.ts';
import { systemClock } from '../run/clock.ts';
import { undefinedWhenMissing } from '../run/files.ts';
import { openNamed, openNamedDirectory } from '../run/named/named.ts';
import type { Run } from '../run/run.ts';
import { adoptFile, persistentVolume } from '../service/adopt/adopt.ts';
import type { AdoptHost } from '../service/adopt/adoptable.ts';
import { adoptDirectory, type Adopted } from '../service/adopt/adopt-directory.ts';
import type { RootStore } from '../store/root.ts';
import type { VolumeRecord } from '../store/schema/volume.ts';
import { openLocalDriver } from './command/local-driver.ts';
import { UsageError } from './command/config.ts';
import { rootHelpLines, readRootFlags } from './command/root-flags.ts';
import { sectorFlag, sectorReader } from './command/sector-flag.ts';
import { trustFlag, trustIn } from './command/trust-flag.ts';
import type { Subcommand } from './command/subcommand.ts';

/** What the command line of `gpfs-csi adopt` may hold. */
export const adoptGrammar = {
  command: 'adopt',
  takesFiles: true,
  words: 1,
  own: {
    name: { takes: 'value', meaning: 'name of the volume (default: the name of the file)' },
    'trust-directory': trustFlag,
    'sector-size': sectorFlag,
  },
} as const;

/** `gpfs-csi adopt`: makes volumes of existing raw files. */
export const adopt: Subcommand = {
  summary: 'make volumes of raw disk files without copying: one, or a directory of Cinder',
  help: [
    'usage: gpfs-csi adopt FILE [--name NAME] [--sector-size 512|4096] --root DIR',
    '       gpfs-csi adopt DIRECTORY [--sector-size 512|4096] --root DIR',
    '',
    'FILE must lie in the fileset of the root and be closed. It moves into the root, and its PersistentVolume is',
    'printed. Of a DIRECTORY of Cinder, volumes and snapshots are adopted with their clone tree. After an',
    'interruption, run the same command again to complete it.',
    '',
    ...rootHelpLines(adoptGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const { words, flags, config } = readRootFlags(adoptGrammar, argv, terminal.env, hostname());
    const [path = ''] = words;
    if (!path.startsWith('/')) throw new UsageError('adopt needs the absolute path of a file');
    if (config.roots.length !== 1) throw new UsageError('--root names one root, for adopt');
    const sectorBytes = sectorReader(flags);
    await using local = await openLocalDriver(config);
    const { store } = local;
    const on = {
      host: local.driver.host,
      store,
      gpfs: local.host.gpfs,
      userOf: userOf(local.host.run),
      sectorBytes,
    };
    let printed = 0;
    const print = (record: VolumeRecord): void => {
      const volume = { ...record, id: publicId(store.id, record.id) };
      if (record.sectorBytes !== undefined)
        terminal.err(`volume ${volume.id} has a disk for sectors of ${record.sectorBytes} bytes`);
      if (printed++ > 0) terminal.out('---');
      terminal.out(persistentVolume(volume, config.driverName, config.topology?.of(store.id)));
    };
    await using file = await openNamed(path, trustIn(flags));
    const seen = await store.files.stat(file.path).catch(undefinedWhenMissing);
    if (seen?.kind !== 'directory') {
      const name = flags.get('name') ?? basename(path);
      print(await adoptFile(on, { file, name, parent: null }));
      return 0;
    }
    await using directory = await openNamedDirectory(path, trustIn(flags));
    const adopted = await adoptDirectory(on, directory, { onVolume: print, signal: local.signal });
    for (const line of otherLines(store, adopted)) terminal.err(line);
    return 0;
  },
};

/** What was adopted besides volumes, a line each. */
const otherLines = (store: RootStore, { snapshots, images, left }: Adopted): readonly string[] => [
  ...snapshots.map((id) => `snapshot ${publicId(store.id, id)}`),
  ...images.map((name) => `image ${name}, which volumes read through`),
  ...left.map((each) => `left alone: ${each}`),
];

const userOf =
  (run: Run): AdoptHost['userOf'] =>
  async (file, path) => {
    const [loop] = await losetup(run, systemClock).loopsOf(file, path);
    if (loop) return loop.path;
    const [pid] = await processesWith(file);
    return pid === undefined ? undefined : `process ${pid}`;
  };
