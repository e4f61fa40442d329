import { DriverError } from '../model/fault.ts';
import { isVisible, placeUnder, type Mount, type Mounts } from '../run/mounts.ts';
import { complaintOf, explainFailure, type Run } from '../run/run.ts';

export type Mounter = ReturnType<typeof mounter>;

// More layers than an administrator stacks on purpose: unmounting must end, also when a mount returns each time.
const maxLayers = 64;

/** Mounts and unmounts. What is mounted is read from mountinfo, never from the output of a command. */
export const mounter = (run: Run, mounts: Mounts) => ({
  /** The mounts on exactly this path, lowest first. */
  at: (path: string): Promise<readonly Mount[]> => at(mounts, path),

  /** The mounts in a directory, at any depth. */
  below: async (directory: string): Promise<readonly Mount[]> =>
    visible(mounts, ({ point }) => point.startsWith(`${directory}/`)),

  /** Mounts of a block device and binds of its node, wherever they are. */
  of: async (device: BlockDevice): Promise<readonly Mount[]> =>
    (await mounts()).filter((mount) => shows(mount, device)),

  /**
   * The same in two parts: those at a path, with the copies that the kernel made of them where the directory of the
   * path is bound to another one; and those at other places.
   */
  ofBeside: async (device: BlockDevice, path: string): Promise<Apart> => {
    const all = await mounts();
    const ours = all.filter((mount) => shows(mount, device));
    const at = ours.filter(({ point }) => point === path).map((each) => placeUnder(all, each));
    const isAt = (mount: Mount): boolean =>
      mount.point === path || at.includes(placeUnder(all, mount));
    return { at: ours.filter(isAt), elsewhere: ours.filter((mount) => !isAt(mount)) };
  },

  /** Unmounts layer by layer until mountinfo shows nothing at this path. */
  unmount: (path: string): Promise<void> => unmount(run, mounts, path),

  mount: async (
    device: string,
    path: string,
    type: string,
    options: readonly string[],
  ): Promise<void> => {
    try {
      await run(['mount', '-t', type, ...optionList(options), device, path], 'write');
    } catch (error) {
      throw mountFailed(device, path, type, error);
    }
  },

  bind: async (source: string, path: string, { readonly }: { readonly readonly: boolean }) => {
    const options = readonly ? await readonlyBind(mounts, source) : 'bind';
    await act(run, `${source} could not be bound to ${path}`, [
      'mount',
      '-o',
      options,
      source,
      path,
    ]);
  },

  /** Makes a bind read-only; the file system under it stays as it is. */
  remountBindReadonly: (path: string) =>
    act(run, `${path} could not be made read-only`, ['mount', '-o', 'remount,bind,ro', path]),

  /** Makes the file system itself read-only. */
  remountReadonly: (path: string) =>
    act(run, `${path} could not be made read-only`, ['mount', '-o', 'remount,ro', path]),
});

// A bind keeps the restrictions of its source, but one that is made read-only has only those that mount(8) names.
const restrictions = ['nosuid', 'nodev', 'noexec', 'nosymfollow', 'noatime', 'nodiratime'];

async function readonlyBind(mounts: Mounts, source: string): Promise<string> {
  const of = (await at(mounts, source)).at(-1);
  const kept = restrictions.filter((each) => of?.options.includes(each));
  return ['bind', 'ro', ...kept].join(',');
}

/** Mounts of a device at one place, and at others. */
interface Apart {
  readonly at: readonly Mount[];
  readonly elsewhere: readonly Mount[];
}

async function act(run: Run, what: string, argv: [string, ...string[]]): Promise<void> {
  await explainFailure(what, run(argv, 'write'));
}

/** A block device: `major:minor`, and its name under /dev. */
export interface BlockDevice {
  readonly number: string;
  readonly name: string;
  /** `major:minor` of the file system that its node is in. */
  readonly nodeIn: string;
}

/** True for a mount of this device, and for a bind of its node. */
export const shows = (mount: Mount, device: BlockDevice): boolean =>
  mount.device === device.number ||
  // btrfs may have several devices, so its mounts have a number of their own.
  (mount.type === 'btrfs' && mount.source === `/dev/${device.name}`) ||
  isNode(mount, device);

// A bind of a device node shows as a part of the file system of /dev, not as the device. There is only one
// devtmpfs. Any other type must be the same file system: a directory of another tmpfs may be named `loop3` too.
const isNode = ({ type, device, root }: Mount, { name, nodeIn }: BlockDevice): boolean =>
  root === `/${name}` && (type === 'devtmpfs' || device === nodeIn);

const at = (mounts: Mounts, path: string): Promise<readonly Mount[]> =>
  visible(mounts, ({ point }) => point === path);

async function visible(
  mounts: Mounts,
  wanted: (mount: Mount) => boolean,
): Promise<readonly Mount[]> {
  const all = await mounts();
  return all.filter((mount) => wanted(mount) && isVisible(all, mount));
}

async function unmount(run: Run, mounts: Mounts, path: string): Promise<void> {
  for (let layer = 0; layer < maxLayers; layer += 1) {
    const before = (await at(mounts, path)).length;
    if (before === 0) return;
    try {
      await run(['umount', '--no-canonicalize', path], 'write');
    } catch (error) {
      // Another process may have unmounted it first.
      if ((await at(mounts, path)).length < before) continue;
      throw unmountFailed(path, error);
    }
  }
  throw new DriverError(
    'in-use',
    `${path} is mounted again each time it is unmounted; find the process or unit of the host that does so, and stop it`,
  );
}

const optionList = (options: readonly string[]): readonly string[] =>
  options.length === 0 ? [] : ['-o', options.join(',')];

const mountFailed = (device: string, path: string, type: string, error: unknown): unknown => {
  const complaint = complaintOf(error);
  if (complaint === undefined) return error;
  return type === 'btrfs' && complaint.includes('File exists')
    ? new DriverError(
        'wrong-state',
        `${device} could not be mounted at ${path}: a clone or the source of this volume is mounted here, and the kernel of this node does not take two btrfs file systems of one origin (Linux 6.7 does); use another node, or xfs or ext4`,
        error,
      )
    : new DriverError(
        'command-failed',
        `${device} could not be mounted as ${type} at ${path}; the kernel log of the node says why`,
        error,
      );
};

const unmountFailed = (path: string, error: unknown): unknown => {
  const complaint = complaintOf(error);
  if (complaint === undefined) return error;
  return /busy/i.test(complaint)
    ? new DriverError(
        'in-use',
        `${path} is still in use by a process; end it, then try again`,
        error,
      )
    : new DriverError(
        'command-failed',
        `${path} could not be unmounted; the log of this node has the words of umount`,
        error,
      );
};
