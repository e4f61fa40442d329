import type { RootTopology } from '../../../src/model/topology.ts';
import type { AccessMode, Capability } from '../../../src/model/capability.ts';
import type { ContentSource, VolumeSpec } from '../../../src/model/volume.ts';
import type { LimitOptions } from '../../../src/service/volumes/overcommit.ts';
import type { Allocate } from '../../../src/linux/fallocate.ts';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { silentLog, type Log } from '../../../src/observe/log.ts';
import { defaultCompaction } from '../../../src/service/compaction/worker.ts';
import { driverOf, type Driver } from '../../../src/service/driver.ts';
import type { CompactionOptions, FillProgress, Happening } from '../../../src/service/host.ts';
import { beat } from '../../../src/service/maintenance.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';

/** A simulated cluster, in this process. */
export type Cluster = ReturnType<typeof simulateGpfs>;
/** What one server of the cluster sees. */
export type View = ReturnType<Cluster['server']>;

/** The root that tests keep volumes in. */
export const testRoot = '/gpfs/fs1/csi-data/csi';

/** A cluster with an empty directory for the root. */
export async function clusterWithRoot(
  options: Parameters<typeof simulateGpfs>[0] = {},
): Promise<Cluster> {
  const gpfs = simulateGpfs(options);
  await gpfs.files.makeDirectory(testRoot, 0o750);
  return gpfs;
}

/** A driver server on one view; a new `instance` for each start. */
export function serverOn(
  view: Pick<View, 'run' | 'files' | 'mounts' | 'clock' | 'nonce'>,
  node = 'a1',
  options: {
    readonly pool?: string;
    readonly maxVolumes?: number;
    readonly boot?: string;
    readonly log?: Log;
    readonly compaction?: Partial<CompactionOptions>;
    readonly roots?: readonly string[];
    readonly allocate?: Allocate;
    readonly patienceMs?: number;
    readonly limits?: LimitOptions;
    readonly topology?: RootTopology;
    readonly progress?: (at: FillProgress) => void;
    readonly happened?: (root: string, what: Happening) => void;
  } = {},
): Driver {
  const { maxVolumes, boot, ...rest } = { ...usual, ...options };
  return driverOf({
    gpfs: gpfsCommands(view.run),
    files: view.files,
    mounts: view.mounts,
    clock: view.clock,
    nonce: view.nonce,
    mountType: 'gpfs',
    pool: undefined,
    owner: '',
    ...rest,
    self: {
      node,
      machineId: `machine-${node}`,
      bootId: boot,
      instance: view.nonce(),
      version: '0.0.0-test',
      maxVolumes,
    },
    compaction: { ...defaultCompaction, ...options.compaction },
  });
}

const usual = { roots: [testRoot], log: silentLog, maxVolumes: 16, boot: 'boot-1' };

/** One round of the upkeep that a server does by itself. */
export async function tend(driver: Driver): Promise<void> {
  await beat(driver.host);
  await driver.worker.round();
}

/** A block capability. */
export const block = (mode: AccessMode = 'SINGLE_NODE_SINGLE_WRITER'): Capability => ({
  access: { kind: 'block' },
  mode,
});

/** A mount capability. */
export const mounted = (
  fsType = 'ext4',
  mode: AccessMode = 'SINGLE_NODE_MULTI_WRITER',
): Capability => ({
  access: { kind: 'mount', fsType, flags: [] },
  mode,
});

/** A request for a volume; by default of 64 MiB. */
export const spec = (
  name: string,
  rest: Partial<Omit<VolumeSpec, 'name' | 'parameters' | 'mutable'>> & {
    readonly parameters?: Readonly<Record<string, string>>;
    readonly mutable?: Readonly<Record<string, string>>;
  } = {},
): VolumeSpec => ({
  name,
  range: 'range' in rest ? rest.range : { requiredBytes: 64n << 20n, limitBytes: 0n },
  capabilities: rest.capabilities ?? [block()],
  parameters: new Map(Object.entries({ ...rest.parameters, ...rest.mutable })),
  mutable: new Map(Object.entries(rest.mutable ?? {})),
  source: rest.source,
  requirement: rest.requirement,
});

/** A content source. */
export const from = (
  kind: ContentSource['kind'],
  { id }: { readonly id: string },
): ContentSource => ({
  kind,
  id,
});

/** A request for a snapshot. */
export const snap = (name: string, { id }: { readonly id: string }) => ({
  name,
  sourceVolumeId: id,
  parameters: new Map<string, string>(),
});

/** Data files of a root, by their path inside it. */
export const dataFiles = (gpfs: Cluster): readonly string[] =>
  gpfs
    .paths()
    .filter((path) => path.startsWith(`${testRoot}/`) && !path.includes('/.gpfs-csi/'))
    .map((path) => path.slice(testRoot.length + 1));
