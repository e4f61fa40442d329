import type { Gpfs } from '../../gpfs/commands.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { serveHttp, type HttpServer } from '../../server/http.ts';
import { serveGrpc, type GrpcServer } from '../../server/transport/listen.ts';
import type { Services } from '../../service/api.ts';
import type { Driver } from '../../service/driver.ts';
import { registerQueueMetrics } from '../../service/forest/metrics.ts';
import type { NodeSide } from '../../service/node/node.ts';
import type { TrackedTopology } from '../../service/roots/topology.ts';
import type { Config } from '../command/config.ts';
import { releaseMemory, startAccounting } from './accounting.ts';
import { startNodeFigures } from './node-figures.ts';
import { endsWithin } from './periodic.ts';
import { openRegistration, reportingTopology } from './registration.ts';
import { startUpkeep } from './upkeep.ts';

/** A server that answers requests. */
export interface RunningServer {
  readonly driver: Driver;
  readonly services: Services;
  /** Resolves to an exit status when the server cannot continue. */
  readonly lost: Promise<number>;
  /** Lets running requests finish; bounded by the configured grace. */
  close(): Promise<void>;
}

/** The driver of a node, before it listens anywhere. */
export interface Assembled {
  readonly driver: Driver;
  readonly services: Services;
  readonly topology: TrackedTopology | undefined;
  readonly node: NodeSide;
  readonly gpfs: Gpfs;
  readonly probe: () => Promise<void>;
  readonly pair: (() => Promise<void>) | undefined;
}

/** Opens the sockets of a driver, and starts what it does without a request. */
export async function openServer(
  config: Config,
  { driver, services, topology, node, gpfs, probe, pair }: Assembled,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): Promise<RunningServer> {
  const lost = Promise.withResolvers<number>();
  const onVanished = (path: string): void => {
    log.error({ path }, 'the socket was removed; ending, so that the next start makes it again');
    lost.resolve(1);
  };
  const grpc = await openGrpc(config, services, { metrics, log, onVanished });
  const http = await openHttp(config, services, metrics);
  const registration = openRegistration(config, gpfs, log, topology);
  const tending = startUpkeep(driver, {
    found: reportingTopology(topology, registration, log),
    controller: grpc.controller,
    reconcile: () => node.reconcile(),
    trim: () => node.trim(),
    probe,
    pair,
    log,
  });
  const accounting = startAccounting(driver.host, metrics, config.metricsVolumes);
  const figures = startNodeFigures(driver.host, config, metrics);
  registerQueueMetrics(metrics, driver.worker);
  log.info({ endpoint: config.endpoint }, 'serving');
  return {
    driver,
    services,
    lost: lost.promise,
    close: async () => {
      const upkeep = endsWithin(
        config.shutdownGraceMs,
        [tending.stop(), accounting.stop(), figures.stop()],
        log,
      );
      await node.close();
      const closed = closeAll(grpc, http, config.shutdownGraceMs, log);
      await Promise.all([registration?.close(), closed, upkeep]);
    },
  };
}

function openGrpc(
  config: Config,
  services: Services,
  {
    metrics,
    log,
    onVanished,
  }: {
    readonly metrics: Metrics;
    readonly log: Log;
    /** Called with the path of the socket when that is gone. */
    readonly onVanished: (path: string) => void;
  },
): Promise<GrpcServer> {
  const seconds = metrics.histogram('gpfs_csi_rpc_duration_seconds', 'Requests, by name and code.');
  return serveGrpc({
    services,
    log,
    endpoint: config.endpoint,
    controller: config.controller,
    limitMs: config.requestLimitMs,
    onDone: ({ rpc, code, ms }) => {
      seconds(ms / 1000, { rpc, code });
    },
    onVanished,
    onQuiet: releaseMemory,
  });
}

function openHttp(
  { httpPort, httpAddress }: Config,
  { readiness }: Services,
  metrics: Metrics,
): Promise<HttpServer | undefined> {
  if (httpPort === 0) return Promise.resolve(undefined);
  return serveHttp({
    host: httpAddress,
    port: httpPort,
    readiness,
    metrics: () => metrics.render(),
  });
}

async function closeAll(
  grpc: GrpcServer,
  http: HttpServer | undefined,
  graceMs: number,
  log: Log,
): Promise<void> {
  await grpc.close(graceMs);
  await http?.close();
  const running = grpc.running();
  if (running > 0)
    log.warn({ running }, 'requests did not end in time; a retry will find how far they went');
}
