import { hostname } from 'node:os';
import { parseId } from '../model/ids.ts';
import { findOne } from '../service/finder/find.ts';
import { handleOf } from '../service/finder/found.ts';
import { systemClock } from '../run/clock.ts';
import { migrateVolume, stoppable } from '../service/migrate/migrate.ts';
import { openLocalDriver } from './command/local-driver.ts';
import { showProgress } from './command/progress.ts';
import { UsageError } from './command/config.ts';
import { rootHelpLines, readRootFlags } from './command/root-flags.ts';
import type { Subcommand } from './command/subcommand.ts';

/** What the command line of `gpfs-csi migrate` may hold. */
export const migrateGrammar = {
  command: 'migrate',
  takesFiles: true,
  words: 1,
  own: {
    to: { takes: 'value', meaning: 'the root to move the volume to; --root must name it too' },
  },
} as const;

/** `gpfs-csi migrate`: moves a volume to another root. */
export const migrate: Subcommand = {
  summary: 'move a volume to another root of the cluster; its handle stays the same',
  help: [
    'usage: gpfs-csi migrate VOLUME --to ROOT --root FROM,ROOT',
    '',
    'VOLUME: NAMESPACE/CLAIM, the name of the claim or of the PersistentVolume, or the volumeHandle.',
    '',
    'The volume must be detached. Its file is renamed where both roots lie in one fileset and it shares no blocks',
    'with clones; else it is copied whole. After an interruption the volume is where it was: run the command again.',
    '',
    ...rootHelpLines(migrateGrammar),
  ].join('\n'),
  run: async (argv, terminal) => {
    const { words, flags, config } = readRootFlags(migrateGrammar, argv, terminal.env, hostname());
    const [id] = words;
    const to = flags.get('to') ?? '';
    if (id === undefined) throw new UsageError('migrate needs the id of a volume');
    if (!config.roots.includes(to)) throw new UsageError('--to must be one of the roots of --root');
    using shown = showProgress(`moving ${id}`, terminal, systemClock);
    await using local = await openLocalDriver(config, shown.progress);
    const host = stoppable(local.driver.host, local.signal);
    // A handle stays valid where its record is away, as after a migration that was interrupted.
    const handle = parseId(id)
      ? id
      : handleOf(await findOne(await local.driver.roots.all(), id, ['volume']));
    const how = await migrateVolume(host, handle, to).finally(() => {
      shown[Symbol.dispose]();
    });
    terminal.out(`volume ${handle}: ${how}`);
    const store = await local.driver.roots.byPath(to);
    if (config.topology)
      terminal.out(
        `it needs nodes with the label ${config.topology.keyOf(store.id)} now; its present PersistentVolume names other ones: recreate that, as docs/topology.md describes`,
      );
    return 0;
  },
};
