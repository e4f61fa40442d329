import { DriverError } from '../../model/fault.ts';
import { blkid } from '../../linux/blkid.ts';
import { fstrim } from '../../linux/fstrim.ts';
import { fsfreeze } from '../../linux/fsfreeze.ts';
import { growfs } from '../../linux/growfs.ts';
import { losetup } from '../../linux/losetup.ts';
import { mkfs } from '../../linux/mkfs.ts';
import { mounter } from '../../linux/mount.ts';
import { silentLog, type Log } from '../../observe/log.ts';
import { startCompanion } from '../../run/companion.ts';
import type { Clock } from '../../run/clock.ts';
import type { Files } from '../../run/files.ts';
import type { Mounts } from '../../run/mounts.ts';
import type { Run } from '../../run/run.ts';
import type { Self } from '../../store/nodes.ts';
import type { NodeVolumes } from '../api.ts';
import { backgroundOf } from './background/background.ts';
import { expand } from './expand.ts';
import { freezerOf } from './background/freezer.ts';
import { frozenNotes } from './state/frozen.ts';
import { volumeLocks } from './state/locks.ts';
import { nodeRecords } from './state/records.ts';
import type { NodeLimits, NodeHost, NodeRoots } from './host.ts';
import { publish } from './publish.ts';
import { reconcile } from './background/reconcile.ts';
import { stage } from './stage.ts';
import { stats } from './stats.ts';
import { trimmerOf } from './background/trim.ts';
import { unpublish } from './unpublish.ts';
import { unstage } from './unstage.ts';

export interface NodeVolumesOptions {
  readonly roots: NodeRoots;
  readonly self: Self;
  readonly run: Run;
  readonly files: Files;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly log?: Log;
  /** Holds what is attached and mounted here. It belongs to this node alone, and restarts of the driver keep it. */
  readonly stateDirectory: string;
  /** Where the kubelet keeps pods and plugins; it may be a symbolic link itself. */
  readonly kubeletDirectory?: string;
  readonly limits?: Partial<NodeLimits>;
  /** Off by default; the administrator turns it on. */
  readonly allowBuffered?: boolean;
  /** Command line of `gpfs-csi thaw`, in namespaces where it outlives the driver; without it nothing is frozen. */
  readonly watchdog?: readonly [string, ...string[]] | undefined;
  /** How often each volume is trimmed; 0, the default: never. */
  readonly trimIntervalMs?: number;
}

const defaultLimits: NodeLimits = { sizeMs: 5_000, statfsMs: 5_000, trimLoad: 1.5 };

/** The node side of the driver, and what it does once when it starts. */
export interface NodeSide extends NodeVolumes {
  /** Takes down what no volume here needs any more; resolves to sentences for the log. Never throws for one volume. */
  reconcile(): Promise<readonly string[]>;
  /** Trims one volume that is due; resolves to its id. */
  trim(): Promise<string | undefined>;
  /** Thaws what a driver that died on this node left frozen. */
  thaw(): Promise<void>;
  /** Ends the background work. */
  close(): Promise<void>;
}

/** The node side of the driver, on the kernel of this machine. */
export function nodeVolumes(options: NodeVolumesOptions): NodeSide {
  const host = nodeHostOf(options);
  const trimmer = trimmerOf(host, options.trimIntervalMs ?? 0);
  return {
    stage: (ask) => stage(host, ask),
    unstage: (id, stagingPath) => unstage(host, id, stagingPath),
    publish: (ask) => publish(host, ask),
    unpublish: (id, targetPath) => unpublish(host, id, targetPath),
    stats: (id, volumePath) => stats(host, id, volumePath),
    expand: (id, volumePath, range, kind) => expand(host, id, volumePath, { range, kind }),
    reconcile: () => reconcile(host),
    trim: () => trimmer.round(),
    thaw: () => host.freezer.thawLeft(),
    close: async () => {
      host.freezer[Symbol.dispose]();
      await host.background.settleAll();
    },
  };
}

function nodeHostOf(options: NodeVolumesOptions): NodeHost {
  const { roots, self, run, files, mounts, clock } = options;
  const lock = volumeLocks();
  const base: Omit<NodeHost, 'freezer'> = {
    roots,
    self,
    files,
    clock,
    log: options.log ?? silentLog,
    records: nodeRecords({ files, directory: options.stateDirectory, bootId: self.bootId }),
    lock,
    background: backgroundOf(lock),
    losetup: losetup(run, clock),
    mounter: mounter(run, mounts),
    blkid: blkid(run),
    mkfs: mkfs(run),
    growfs: growfs(run),
    fstrim: fstrim(run),
    fsfreeze: fsfreeze(run),
    pendingSpace: new Map(),
    vanished: new Map(),
    frozen: frozenNotes(files, options.stateDirectory),
    watchdog: watchdogOf(options.watchdog),
    limits: { ...defaultLimits, ...options.limits },
    kubeletDirectory: options.kubeletDirectory ?? '/var/lib/kubelet',
    allowBuffered: options.allowBuffered ?? false,
  };
  return { ...base, freezer: freezerOf(base) };
}

/** Starts the program that thaws, so that it outlives this process. */
const watchdogOf =
  (program: NodeVolumesOptions['watchdog']): NodeHost['watchdog'] =>
  ({ path, device, ms }) => {
    if (!program)
      return Promise.reject(
        new DriverError('misconfigured', 'nothing here would thaw it if the driver died'),
      );
    const what = ['--path', path, '--device', String(device), '--ms', String(ms)];
    return startCompanion([...program, ...what]);
  };
