import { hostname } from 'node:os';
import { losetup } from '../linux/losetup.ts';
import { growForest } from '../model/forest/forest.ts';
import { choicesText, explanationText } from '../model/explain/text.ts';
import type { Explanation } from '../model/explain/facts.ts';
import { messageOf } from '../model/fault.ts';
import { explainWord } from '../service/explain/explain.ts';
import type { ExplainHost } from '../service/explain/host.ts';
import { readForest } from '../service/forest/forest.ts';
import { nodeRecords } from '../service/node/state/records.ts';
import type { RootStore } from '../store/root.ts';
import { UsageError } from './command/config.ts';
import { readMachineIds } from './command/machine.ts';
import { openedWithin } from './command/opened-within.ts';
import {
  rootHost,
  rootHelpLines,
  readRootFlags,
  type RootCommandLine,
} from './command/root-flags.ts';
import type { Subcommand } from './command/subcommand.ts';

const explainGrammar = {
  command: 'explain',
  takesFiles: true,
  words: 1,
  own: {
    json: { takes: 'nothing', meaning: 'one JSON object on standard output; docs/explain.md' },
  },
} as const;

/** `gpfs-csi explain`: says on one screen what a claim, a volume, a snapshot, a file, a device or a path is. */
export const explain: Subcommand = {
  summary: 'say all that is known of a claim, volume, snapshot, file, loop device or path',
  help: [
    'usage: gpfs-csi explain WORD [--json] [flags]',
    '',
    'WORD: NAMESPACE/CLAIM, NAMESPACE/SNAPSHOT, the name of either, a PersistentVolume, a volumeHandle or',
    'snapshotHandle, a golden image, a data file by its name or path, /dev/loopN, or a path on a mounted volume.',
    'Devices, mounts and pods are those of this node. Nothing is changed. docs/explain.md explains the output.',
    '',
    ...rootHelpLines(explainGrammar),
    '',
    'Exit status: 0 explained, 1 the WORD is unknown or names several objects, 2 wrong usage.',
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(explainGrammar, argv, terminal.env, hostname());
    const [word] = line.words;
    if (word === undefined)
      throw new UsageError(
        'explain needs a claim, a volume, a snapshot, a file, a device or a path',
      );
    const said = await explainWord(await hostOf(line), word);
    const several = isAmbiguous(said);
    if (line.flags.has('json')) terminal.out(JSON.stringify(said, null, 1));
    else terminal.out(several ? choicesText(said) : explanationText(said, Date.now()));
    return several ? 1 : 0;
  },
};

/** While a volume moves to another root, both roots have it under one handle: that is one object. */
const isAmbiguous = ({ objects }: Explanation): boolean =>
  new Set(objects.map(({ kind, handle }) => `${kind} ${handle}`)).size > 1;

async function hostOf({ config }: RootCommandLine): Promise<ExplainHost> {
  const { open, mounts, run, files, clock } = rootHost(config);
  const opened = await Promise.allSettled(
    config.roots.map((path) => openedWithin(path, () => open(path))),
  );
  const { bootId } = await readMachineIds(config);
  const own = nodeRecords({ files, directory: config.stateDirectory, bootId });
  const { records, problems } = await own.all();
  const forests = new Map<RootStore, ReturnType<ExplainHost['forest']>>();
  const readAll = async (store: RootStore) =>
    growForest(await readForest(store, (file) => file, { onUnreadable: () => undefined }));
  return {
    stores: opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])),
    away: [
      ...opened.flatMap((each) => (each.status === 'rejected' ? [messageOf(each.reason)] : [])),
      ...problems,
    ],
    node: config.nodeId,
    clock,
    mounts,
    losetup: losetup(run, clock),
    records: records.filter((record) => record.bootId === bootId),
    recordPath: (id) => own.pathOf(id),
    forest: (store) => {
      const reading = forests.get(store) ?? readAll(store);
      forests.set(store, reading);
      return reading;
    },
  };
}
