import { hostname } from 'node:os';
import { DriverError } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import { jsonLog } from '../../observe/logger.ts';
import { fallocate } from '../../linux/fallocate.ts';
import { randomNonce } from '../../run/clock.ts';
import type { Progress } from '../../run/streams.ts';
import { defaultCompaction } from '../../service/compaction/worker.ts';
import { driverOf, type Driver } from '../../service/driver.ts';
import { heartbeatMs, type Self } from '../../store/nodes.ts';
import type { RootStore } from '../../store/root.ts';
import { readMachineIds } from './machine.ts';
import { rootHost, type RootConfig, type RootHost } from './root-flags.ts';
import { packageVersion } from './version.ts';

/** A driver in the process of a command that changes a root; servers see it as one more node. */
export interface LocalDriver extends AsyncDisposable {
  readonly host: RootHost;
  readonly driver: Driver;
  /** The first root that was named. */
  readonly store: RootStore;
  /** Aborted at Ctrl-C: work that can stop stops. */
  readonly signal: AbortSignal;
}

/**
 * Opens the roots for a change, as a server does, and keeps a heartbeat until it is disposed of. `progress` is called
 * with the bytes of a volume that are filled. Throws as the opening of a root does.
 */
export async function openLocalDriver(
  config: RootConfig,
  progress?: Progress,
): Promise<LocalDriver> {
  const host = rootHost(config);
  const [first] = config.roots;
  const { facts } = await host.open(first ?? '');
  const node = `command-${hostname()}-${process.pid}`;
  const driver = driverOf({
    ...host,
    roots: config.roots,
    owner: config.owner ?? facts.owner,
    pool: undefined,
    compaction: { ...defaultCompaction, paused: true },
    allocate: fallocate(host.run),
    log: jsonLog('warn', { write: (line) => process.stderr.write(line) }),
    progress:
      progress &&
      (({ done, of }) => {
        progress(Number(done), Number(of));
      }),
    self: await selfOf(config, node),
  });
  const stores = await driver.roots.all();
  const [store] = stores;
  if (!store) throw new DriverError('misconfigured', 'no root is named; give --root DIR');
  const beat = setInterval(() => {
    for (const each of stores) each.nodes.beat(node).catch(() => undefined);
  }, heartbeatMs);
  return {
    host,
    driver,
    store,
    signal: interrupted(),
    [Symbol.asyncDispose]: async () => {
      clearInterval(beat);
      // Its claims have ended. A command that is killed leaves this file, and its claims count as silent.
      for (const each of stores)
        await each.files.unlink(each.layout.node(localIdOf(node))).catch(() => undefined);
    },
  };
}

const selfOf = async (config: RootConfig, node: string): Promise<Self> => ({
  node,
  ...(await readMachineIds(config)),
  instance: `${randomNonce()}${randomNonce()}`,
  version: packageVersion(),
  maxVolumes: 1,
});

function interrupted(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => {
      stop.abort();
    });
  return stop.signal;
}
