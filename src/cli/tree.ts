import { hostname } from 'node:os';
import { drawForest } from '../model/forest.ts';
import { readForest } from '../service/forest.ts';
import { lookHost, lookLines, readLook } from './open.ts';
import type { Subcommand } from './subcommand.ts';

const grammar = { command: 'tree', own: {}, words: 0 };

/** `gpfs-csi tree`: the clone forest as a picture. */
export const tree: Subcommand = {
  summary: 'the volumes, snapshots and clone parents of a root, as a picture',
  help: ['usage: gpfs-csi tree [flags]', ...lookLines(grammar)].join('\n'),
  run: async (argv, terminal) => {
    const { config } = readLook(grammar, argv, terminal.env, hostname());
    const host = lookHost(config);
    for (const path of config.roots)
      for (const line of drawForest(await readForest(await host.open(path)))) terminal.out(line);
    return 0;
  },
};
