import { gpfsCommands } from '../../gpfs/commands.ts';
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
import { socketPath } from '../../server/transport/endpoint.ts';
import { refuseLiving } from '../../server/transport/socket.ts';
import { driverOf } from '../../service/driver.ts';
import { nodeVolumes, type NodeSide } from '../../service/node/node.ts';
import { probeOnce, type StartingProbe } from '../../service/probe/probe.ts';
import { probeTwoNodes } from '../../service/probe/pair/pair.ts';
import type { Happening } from '../../service/host.ts';
import { inEachRoot, type Roots } from '../../service/roots/roots.ts';
import { findSimulator, type Simulator } from '../../simulator/disk/lifecycle/find.ts';
import { simulatedFiles } from '../../simulator/disk/files.ts';
import { nodeTopology } from '../../service/roots/topology.ts';
import { rootTopology } from '../../model/topology.ts';
import { simulatedTrials } from '../../simulator/disk/trials.ts';
import type { Config } from '../command/config.ts';
import { openServer, type Assembled, type RunningServer } from './open.ts';
import { readSelf } from './self.ts';
import { succeed, type Succession } from './succession.ts';
import { packageVersion } from '../command/version.ts';

/** Builds the driver of one node and serves it. `watched` may observe the commands that the driver runs. */
export async function startServer(
  config: Config,
  log: Log,
  watched: (run: Run) => Run = (run) => run,
): Promise<RunningServer> {
  const metrics = createMetrics();
  const { mmDirectory, mmRunner, stateDirectory } = config;
  const run = hostRun({ mmDirectory, mmRunner });
  void sayUnlessConfined(run, log);
  const succession = await succeed({ run, log, stateDirectory });
  const holding = watched(hostRun({ mmDirectory, mmRunner, lifeline: succession.lifeline }));
  const built = await assemble(config, observedRun(holding, log, metrics), {
    log,
    metrics,
    succession,
  });
  await thawLeft(built.node, log);
  await endEarlier(succession, config, log);
  return openServer(config, built, { log, metrics });
}

/** Tries one command that reads volumes: where it cannot be confined it does not run, and the log says so early. */
async function sayUnlessConfined(run: Run, log: Log): Promise<void> {
  await run(['blkid', '-V'], 'read').catch((error: unknown) => {
    log.error({ error }, 'this node cannot confine commands that read volumes, so it runs none');
  });
}

/** What the parts of a server share. */
interface Shared {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly succession: Succession;
}

/**
 * Before the first request: what an earlier driver process of this node still does would come in between. One that
 * cannot be ended keeps the roots closed, and this server answers without them.
 */
async function endEarlier(succession: Succession, { endpoint }: Config, log: Log): Promise<void> {
  await succession.endStopped();
  await refuseLiving(socketPath(endpoint));
  await succession.alone().catch((error: unknown) => {
    log.error({ error }, 'this server does not register in its roots yet');
  });
}

// Less than sidecars wait by default, so that the events of a PersistentVolumeClaim show the progress of its volume.
const patienceMs = 8_000;

async function assemble(
  config: Config,
  run: Run,
  { log, metrics, succession }: Shared,
): Promise<Assembled> {
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
    lookAt: host.stat,
    gpfs,
    patienceMs,
    allocate: fallocate(run),
    mountType: simulator?.mountType ?? config.mountType,
    compacted: copiedBytes(metrics, config.roots),
    happened: happenings(metrics, config.roots),
    topology: keys,
    alone: () => succession.alone(),
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

function copiedBytes(
  metrics: Metrics,
  roots: readonly string[],
): (root: string, bytes: Bytes) => void {
  const copied = metrics.counter(
    'gpfs_csi_flatten_bytes_total',
    'What redirects of clones copied, at most.',
  );
  for (const root of roots) copied({ root }, 0);
  return (root, bytes) => {
    copied({ root }, Number(bytes));
  };
}

/** Each series begins at 0: Prometheus sees no increase in one that begins with its first event. */
function happenings(
  metrics: Metrics,
  roots: readonly string[],
): (root: string, what: Happening) => void {
  const counts = {
    'cut off': metrics.counter(
      'gpfs_csi_cut_offs_total',
      'How often this server cut nodes off from a volume.',
    ),
    'compaction failed': metrics.counter(
      'gpfs_csi_compaction_failures_total',
      'How often work on a clone tree failed on this server; it is tried again.',
    ),
  };
  for (const count of Object.values(counts)) for (const root of roots) count({ root }, 0);
  return (root, what) => {
    counts[what]({ root });
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
