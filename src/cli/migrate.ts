import { hostname } from 'node:os';
import { migrateVolume, stoppable } from '../service/migrate/migrate.ts';
import { openLocalDriver, progressTo } from './command/local-driver.ts';
import { UsageError } from './command/config.ts';
import { rootHelpLines, readRootFlags } from './command/root-flags.ts';
import type { Subcommand } from './command/subcommand.ts';

/** What the command line of `gpfs-csi migrate` may hold. */
export const migrateGrammar = {
  command: 'migrate',
  takesFiles: true,
  words: 1,
  own: { to: { takes: 'value', meaning: 'the root that it goes to; --root must name it as well' } },
} as const;

/** `gpfs-csi migrate`: a volume to another root. */
export const migrate: Subcommand = {
  summary: 'moves a volume to another root of the cluster; its handle stays',
  help: [
    'usage: gpfs-csi migrate VOLUME_ID --to ROOT --root FROM,ROOT',
    '',
    'The volume must be detached. Inside one fileset its file gets another name; else it is copied whole,',
    'as it is where it shares blocks with clones. Interrupted, it is still where it was; run it again.',
    '',
    ...rootHelpLines(migrateGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const { words, flags, config } = readRootFlags(migrateGrammar, argv, terminal.env, hostname());
    const [id] = words;
    const to = flags.get('to') ?? '';
    if (id === undefined) throw new UsageError('migrate needs the id of a volume');
    if (!config.roots.includes(to)) throw new UsageError('--to must be one of the roots of --root');
    await using local = await openLocalDriver(config, progressTo(terminal.err));
    const host = stoppable(local.driver.host, local.signal);
    terminal.out(`volume ${id}: ${await migrateVolume(host, id, to)}`);
    const store = await local.driver.roots.byPath(to);
    if (config.topology)
      terminal.out(
        `it needs nodes with the label ${config.topology.keyOf(store.id)} now; a PersistentVolume of before asks for other ones: make it anew, as docs/topology.md tells`,
      );
    return 0;
  },
};
