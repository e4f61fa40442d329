import { messageOf } from '../../model/fault.ts';
import type { z } from 'zod';
import { defaultCompaction } from '../../service/compaction/worker.ts';
import type { CompactionOptions } from '../../service/host.ts';
import type { LimitOptions } from '../../service/volumes/overcommit.ts';
import type { LogFormat, LogLevel } from '../../observe/logger.ts';
import { canPrefixKeys } from '../../model/topology.ts';
import type { MmRunner } from '../../run/programs.ts';
import { socketPath } from '../../server/transport/endpoint.ts';
import { registrationSocket } from '../../server/registration.ts';
import { parseFlags } from './flags.ts';
import {
  allSettings,
  readSettings,
  settingFlags,
  socket,
  type Environment,
  type Settings,
} from './settings.ts';

/** How one server runs; read once at its start. */
export interface Config {
  /** CSI_ENDPOINT: the socket of the kubelet. */
  readonly endpoint: string;
  /** The socket of the sidecars, where they have one, and the group they run with. */
  readonly controller: { readonly path: string; readonly gid: number | undefined } | undefined;
  /** Where the kubelet looks for drivers, and our socket as the kubelet sees it; undefined: a sidecar registers the driver. */
  readonly registration: { readonly directory: string; readonly endpoint: string } | undefined;
  readonly roots: readonly string[];
  readonly mmDirectory: string;
  readonly mmRunner: MmRunner;
  readonly nodeId: string;
  /** 0: no health and metrics port. */
  readonly httpPort: number;
  readonly httpAddress: string;
  /** Of how many volumes of each root the metrics have figures of their own; 0: of none. */
  readonly metricsVolumes: number;
  readonly driverName: string;
  readonly stateDirectory: string;
  readonly kubeletDirectory: string;
  readonly maxVolumesPerNode: number;
  /** 0: the driver never returns free blocks by itself. */
  readonly trimHours: number;
  /** Type of the mount that a root must lie on. */
  readonly mountType: string;
  /** Pool of new volumes whose class names none; undefined leaves it to the placement policy. */
  readonly pool: string | undefined;
  /** UID of the cluster that owns the roots; empty outside of Kubernetes. */
  readonly owner: string;
  /** Whether nodes report their roots as topology, and callers may request a volume by it. */
  readonly topology: boolean;
  readonly compaction: CompactionOptions;
  /** Whether to use loop devices without direct I/O where GPFS allows no others. */
  readonly allowBuffered: boolean;
  /** Whether the server tries at its start what this GPFS allows. */
  readonly probe: 'auto' | 'never';
  readonly limits: LimitOptions;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly requestLimitMs: number;
  readonly shutdownGraceMs: number;
  readonly bootIdPath: string;
  readonly machineIdPath: string;
}

/** A command line or an environment that cannot be used; the process ends with status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Reads the flags of `serve` and the environment; flags win. Throws UsageError with all that is wrong. */
export function readConfig(argv: readonly string[], env: Environment, hostName: string): Config {
  const flags = settingFlags(allSettings);
  const given = parseFlags({ command: 'serve', flags, words: 0 }, argv);
  const read = readSettings(allSettings, given.flags, env, hostName);
  const { settings } = read;
  const endpoint = socket.safeParse(env['CSI_ENDPOINT'] ?? '');
  const problems = [
    ...given.problems,
    ...read.problems,
    ...(endpoint.success ? [] : endpointProblems(env, endpoint.error)),
    ...(settings ? [...registrationProblems(settings), ...topologyProblems(settings)] : []),
  ];
  if (problems.length > 0 || !settings || !endpoint.success) {
    throw new UsageError(problems.join('\n'));
  }
  return toConfig(settings, endpoint.data);
}

/** The configuration for the first line of the log. It has no secrets: the driver has none. */
export const describeConfig = (config: Config): Readonly<Record<string, unknown>> => ({
  ...config,
});

const toConfig = (values: Settings, endpoint: string): Config =>
  Object.freeze({
    endpoint,
    controller: controllerSocket(values['controller-endpoint'], values['controller-group']),
    registration: registration(values, endpoint),
    roots: Object.freeze(values.root),
    mmDirectory: values['mm-dir'],
    mmRunner: runner(values['mm-runner'], values['proc-path']),
    nodeId: values['node-id'],
    httpPort: values['http-port'],
    httpAddress: values['http-address'],
    metricsVolumes: values['metrics-volumes'],
    driverName: values['driver-name'],
    stateDirectory: values['state-dir'],
    kubeletDirectory: values['kubelet-dir'],
    maxVolumesPerNode: values['max-volumes-per-node'],
    trimHours: values['trim-hours'],
    mountType: values['mount-type'],
    pool: values.pool,
    owner: values.owner ?? '',
    topology: values.topology === 'true',
    compaction: compaction(values),
    allowBuffered: values['allow-buffered'] === 'true',
    probe: values.probe,
    limits: {
      overcommitPercent: values['overcommit-limit'],
      reservePercent: values.reserve,
    },
    logLevel: values['log-level'],
    logFormat: values['log-format'],
    requestLimitMs: values['request-limit'],
    shutdownGraceMs: values['shutdown-grace'],
    bootIdPath: values['boot-id-path'],
    machineIdPath: values['machine-id-path'],
  });

const compaction = (values: Settings): CompactionOptions => ({
  rule: {
    ...defaultCompaction.rule,
    factor: values['compact-factor'],
    deadShare: values['compact-dead-share'],
  },
  paused: values.compaction === 'paused',
  attached: values['compact-attached'],
  perFileSystem: values['compact-per-file-system'],
  atOnce: values['compact-parallel'],
  maxDepth: values['max-clone-depth'],
});

/** The runner of mm commands, from two settings. */
export const runner = (where: 'host' | 'direct', procPath: string): MmRunner =>
  where === 'host' ? { kind: 'nsenter', procPath } : { kind: 'direct' };

const controllerSocket = (endpoint: string | undefined, gid: number | undefined) =>
  endpoint === undefined ? undefined : { path: socketPath(endpoint), gid };

const registration = (values: Settings, endpoint: string) => {
  const directory = values['registration-dir'];
  const seen = values['kubelet-endpoint'] ?? socketPath(endpoint);
  return directory === undefined ? undefined : { directory, endpoint: seen };
};

// Directory and driver name make the path of a socket, which may be too long.
const registrationProblems = (values: Settings): readonly string[] => {
  const directory = values['registration-dir'];
  try {
    if (directory !== undefined) registrationSocket(directory, values['driver-name']);
    return [];
  } catch (error) {
    return [`--registration-dir: ${messageOf(error)}`];
  }
};

// CSI allows driver names that cannot be part of a node label.
const topologyProblems = (values: Settings): readonly string[] =>
  values.topology === 'true' && !canPrefixKeys(values['driver-name'])
    ? [
        `--topology needs a --driver-name that is a domain name in lower case, which "${values['driver-name']}" is not`,
      ]
    : [];

const endpointProblems = (env: Environment, error: z.ZodError): readonly string[] =>
  env['CSI_ENDPOINT']
    ? error.issues.map(({ message }) => `CSI_ENDPOINT ${message}`)
    : ['CSI_ENDPOINT is missing: set it to the socket to listen on, unix:///folder/name.sock'];
