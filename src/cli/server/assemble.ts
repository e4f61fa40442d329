import { gpfsCommands, type Gpfs } from '../../gpfs/commands.ts';
import type { Log } from '../../observe/log.ts';
import { hostTrials } from '../../linux/trials.ts';
import type { Bytes } from '../../model/bytes.ts';
import { createMetrics, type Metrics } from '../../observe/metrics.ts';
import { randomNonce, systemClock } from '../../run/clock.ts';
import { fallocate } from '../../linux/fallocate.ts';
import { hostRun } from '../../run/host-run.ts';
import { hostFiles, hostMounts } from '../../run/host-files.ts';
import { observedRun, tryingRun } from '../../run/observed.ts';
import type { Run } from '../../run/run.ts';
import type { Trials } from '../../run/trials.ts';
import { serveHttp, type HttpServer } from '../../server/http.ts';
import { serveGrpc, type GrpcServer } from '../../server/transport/listen.ts';
import type { Services } from '../../service/api.ts';
import { driverOf, type Driver } from '../../service/driver.ts';
import { nodeVolumes, type NodeSide } from '../../service/node/node.ts';
import { probeOnce, type StartingProbe } from '../../service/probe/probe.ts';
import { probeTwoNodes } from '../../service/probe/pair/pair.ts';
import { inEachRoot, type Roots } from '../../service/roots/roots.ts';
import { findSimulator, type Simulator } from '../../simulator/disk/lifecycle/find.ts';
import { simulatedFiles } from '../../simulator/disk/files.ts';
import { registerQueueMetrics } from '../../service/forest/metrics.ts';
import { nodeTopology, type TrackedTopology } from '../../service/roots/topology.ts';
import { rootTopology } from '../../model/topology.ts';
import { startAccounting } from './accounting.ts';
import { simulatedTrials } from '../../simulator/disk/trials.ts';
import type { Config } from '../command/config.ts';
import { openRegistration, reportingTopology } from './registration.ts';
import { endsWithin } from './periodic.ts';
import { readSelf } from './self.ts';
import { startUpkeep } from './upkeep.ts';
import { packageVersion } from '../command/version.ts';

/** A server that answers requests. */
export interface RunningServer {
  readonly driver: Driver;
  readonly services: Services;
  /** Resolves to an exit status when the server cannot continue. */
  readonly lost: Promise<number>;
  /** Lets running requests finish; bounded by the configured grace. */
  close(): Promise<void>;
}

/** Builds the driver of one node and serves it. `watched` may observe the commands that the driver runs. */
export async function startServer(
  config: Config,
  log: Log,
  watched: (run: Run) => Run = (run) => run,
): Promise<RunningServer> {
  const metrics = createMetrics();
  const run = watched(hostRun({ mmDirectory: config.mmDirectory, mmRunner: config.mmRunner }));
  const built = await assemble(config, observedRun(run, log, metrics), log, metrics);
  const { driver, services, topology, node, gpfs, probe, pair } = built;
  await thawLeft(node, log);
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
  const accounting = startAccounting(driver.host, metrics);
  registerQueueMetrics(metrics, driver.worker);
  log.info({ endpoint: config.endpoint }, 'serving');
  return {
    driver,
    services,
    lost: lost.promise,
    close: async () => {
      const upkeep = endsWithin(config.shutdownGraceMs, [tending.stop(), accounting.stop()], log);
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
  });
}

// Less than sidecars wait by default, so that the events of a PersistentVolumeClaim show the progress of its volume.
const patienceMs = 8_000;

interface Assembled {
  readonly driver: Driver;
  readonly services: Services;
  readonly topology: TrackedTopology | undefined;
  readonly node: NodeSide;
  readonly gpfs: Gpfs;
  readonly probe: () => Promise<void>;
  readonly pair: (() => Promise<void>) | undefined;
}

async function assemble(config: Config, run: Run, log: Log, metrics: Metrics): Promise<Assembled> {
  const simulator = findSimulator(config.mmDirectory);
  if (simulator) log.warn({ mount: simulator.mount }, 'this is a simulated GPFS: not for data');
  const gpfs = gpfsCommands(run);
  const host = hostFiles();
  const version = packageVersion();
  const keys = config.topology ? rootTopology(config.driverName) : undefined;
  const topology = keys && nodeTopology(keys, systemClock);
  const common = {
    mounts: hostMounts(),
    self: await readSelf(config, version, randomNonce),
    clock: systemClock,
    nonce: randomNonce,
    log,
  };
  const driver = driverOf({
    ...common,
    ...config,
    files: simulator ? simulatedFiles(host, simulator) : host,
    gpfs,
    patienceMs,
    allocate: fallocate(run),
    mountType: simulator?.mountType ?? config.mountType,
    compacted: copiedBytes(metrics),
    topology: keys,
  });
  const { roots } = driver;
  const node = nodeVolumes({ ...common, ...nodeOptions(config), files: host, roots, run });
  const trying = tryingRun(run);
  const { clone } = gpfsCommands(trying);
  const trials = trialsOn(trying, simulator);
  const probes = probing(config, roots, { ...common, clone, fs: gpfs.fs, trials });
  const { driverName, nodeId, maxVolumesPerNode } = config;
  const services = { ...driver, node, driverName, version, nodeId, maxVolumesPerNode, topology };
  return { driver, services, topology, node, gpfs, ...probes };
}

function copiedBytes(metrics: Metrics): (root: string, bytes: Bytes) => void {
  const copied = metrics.counter(
    'gpfs_csi_flatten_bytes_total',
    'What redirects of clones copied, at most.',
  );
  return (root, bytes) => {
    copied({ root }, Number(bytes));
  };
}

function trialsOn(run: Run, simulator: Simulator | undefined): Trials {
  const trials = hostTrials(run, systemClock);
  return simulator ? simulatedTrials(trials, simulator) : trials;
}

/** Probes one root after the other: each may lie on another release of GPFS. */
const probing = (
  { probe, compaction }: Config,
  roots: Roots,
  host: StartingProbe,
): Pick<Assembled, 'probe' | 'pair'> => ({
  probe: async () => {
    if (probe === 'never') return;
    await inEachRoot({ roots }, (store) => probeOnce(host, store));
  },
  pair:
    probe === 'auto' && compaction.attached === 'auto'
      ? () => inEachRoot({ roots }, (store) => probeTwoNodes(host, store))
      : undefined,
});

const nodeOptions = (config: Config) => ({
  stateDirectory: config.stateDirectory,
  kubeletDirectory: config.kubeletDirectory,
  allowBuffered: config.allowBuffered,
  trimIntervalMs: config.trimHours * 3_600_000,
  watchdog: watchdogOf(config),
});

/** Comes first: pods may hang in a file system that an earlier process of the driver froze. */
async function thawLeft(node: NodeSide, log: Log): Promise<void> {
  await node.thaw().catch((error: unknown) => {
    log.error({ error }, 'a file system that was frozen may still be');
  });
}

/**
 * The program that thaws a file system in time when this one is killed. In a pod, which has the pid namespace of the
 * host, it joins the cgroups of a process of the host, so that it survives the end of the container.
 */
function watchdogOf({ mmRunner }: Config): readonly [string, ...string[]] | undefined {
  const [node, program] = process.argv;
  if (node === undefined || program === undefined) return undefined;
  const thaw = [node, program, 'thaw'] as const;
  if (mmRunner.kind === 'direct') return thaw;
  const { procPath } = mmRunner;
  return ['nsenter', `--cgroup=${procPath}/ns/cgroup`, '--', ...thaw, '--join', procPath];
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
