import { join, relative } from 'node:path';

/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  readonly id: number;
  /** The mount that it lies on. */
  readonly parent: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** The directory or file of the file system that is mounted; a bind of a device node is `/loop3` of a devtmpfs. */
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
  readonly shared: boolean;
}

/** The mounts of this process, in the order they were made. */
export type Mounts = () => Promise<readonly Mount[]>;

const unescapeOctal = (text: string): string =>
  Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8))),
    'latin1',
  ).toString('utf8');

/** Parses the bytes of mountinfo, read as latin1 so that names in UTF-8 survive their octal escapes. */
export function parseMountinfo(latin1: string): readonly Mount[] {
  return latin1
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): Mount {
  // The number of optional fields before ` - ` varies, so both halves are counted from their start.
  const [front = [], back = []] = line.split(' - ').map((half) => half.split(' '));
  const first = (n: number): string => front[n] ?? '';
  const second = (n: number): string => back[n] ?? '';
  return {
    id: Number(first(0)),
    parent: Number(first(1)),
    device: first(2),
    root: unescapeOctal(first(3)),
    point: unescapeOctal(first(4)),
    options: first(5).split(','),
    type: second(0),
    source: unescapeOctal(second(1)),
    superOptions: second(2).split(','),
    shared: front.slice(6).some((field) => field.startsWith('shared:')),
  };
}

const isBelow = (path: string, directory: string): boolean =>
  path !== directory && path.startsWith(directory.endsWith('/') ? directory : `${directory}/`);

/**
 * True for a mount that its mount point leads to, at least below later mounts on exactly that point. The kernel copies
 * a mount to each bind of the directory that it lies in. A directory bound to itself covers such a copy.
 */
export function isVisible(mounts: readonly Mount[], mount: Mount): boolean {
  const { id, parent, point } = mount;
  // The first mount of all may name itself as the one that it lies on.
  const beside = mounts.filter((each) => each.parent === parent && each.id !== parent);
  if (beside.some((each) => isBelow(point, each.point))) return false;
  const above = mounts.find((each) => each.id === parent && each.id !== id);
  return above === undefined || isVisible(mounts, above);
}

/**
 * The directory or file under a mount, with the number of its file system. It is the same for all copies that the
 * kernel makes of one mount, one below each bind of the directory that it lies in.
 */
export function placeUnder(mounts: readonly Mount[], { parent, point }: Mount): string {
  const above = mounts.find(({ id }) => id === parent);
  if (!above) return point;
  return `${above.device} ${join(above.root, relative(above.point, point))}`;
}

/** Whether nothing on a mount can be written, because the mount or the whole file system is read-only. */
export const isReadOnly = ({ options, superOptions }: Mount): boolean =>
  options.includes('ro') || superOptions.includes('ro');

/** The mount that a path lies on: the deepest mount point above it, the latest one of several at one point. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const above = mounts.filter(
    (each) => (each.point === path || isBelow(path, each.point)) && isVisible(mounts, each),
  );
  return above.reduce<Mount | undefined>(
    (best, mount) => (best && best.point.length > mount.point.length ? best : mount),
    undefined,
  );
}
