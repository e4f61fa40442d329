import { hostname } from 'node:os';
import { logIn } from '../observe/logger.ts';
import type { Log } from '../observe/log.ts';
import { describeConfig, readConfig } from './command/config.ts';
import { releaseMemory } from './server/accounting.ts';
import { startServer } from './server/assemble.ts';
import { allSettings, settingLines } from './command/settings.ts';
import type { Subcommand } from './command/subcommand.ts';
import { packageVersion } from './command/version.ts';

/** `gpfs-csi serve`: the CSI driver of one node. */
export const serve: Subcommand = {
  summary: 'run the CSI driver of this node on the socket that CSI_ENDPOINT names',
  help: [
    'usage: CSI_ENDPOINT=unix:///folder/csi.sock gpfs-csi serve --root DIR[,DIR] [flags]',
    '',
    'Runs until SIGTERM or Ctrl-C. Each flag may also be an environment variable: --mm-dir is GPFS_CSI_MM_DIR.',
    'A flag comes before its variable.',
    '',
    ...settingLines(allSettings),
    '',
    'Exit status: 0 ended by a signal, 1 failed, 2 wrong usage.',
  ].join('\n'),
  run: async (argv, terminal) => {
    const config = readConfig(argv, terminal.env, hostname());
    // What the server makes is for nobody else, unless it says so.
    process.umask(0o077);
    const log = logIn(config.logFormat, config.logLevel);
    log.info({ version: packageVersion(), config: describeConfig(config) }, 'gpfs-csi starts');
    const server = await startServer(config, log);
    releaseMemorySoon();
    const status = await Promise.race([server.lost, stopSignal(log)]);
    await server.close();
    return status;
  },
};

const settledMs = 5_000;

// The start needs several MiB that the running server does not.
function releaseMemorySoon(): void {
  setTimeout(releaseMemory, settledMs).unref();
}

function stopSignal(log: Log): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log.info({ signal }, 'ending; running requests finish first');
      resolve(0);
    });
  return promise;
}
