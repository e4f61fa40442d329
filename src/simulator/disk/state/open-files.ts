import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** The result of reading, or undefined when it fails: processes end and devices disappear meanwhile. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** The names in a directory; none when there is no such directory. */
export const namesIn = (directory: string): readonly string[] =>
  attempt(() => readdirSync(directory)) ?? [];

/** The target of a symbolic link. */
export const linkOf = (path: string): string | undefined => attempt(() => readlinkSync(path));

export interface LoopDevice {
  /** `/dev/loop3` */
  readonly device: string;
  /** The path that its file had when the device was attached. */
  readonly backing: string;
}

/** Loop devices that are attached to a file, from sysfs. */
export const loopDevices = (): readonly LoopDevice[] =>
  namesIn('/sys/block').flatMap((name) => {
    if (!name.startsWith('loop')) return [];
    const file = attempt(() => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8'));
    return file === undefined ? [] : [{ device: `/dev/${name}`, backing: file.trimEnd() }];
  });

/** Devices of this file, by its path alone. `attachments` compares inodes. */
export const loopsOf = (file: string): readonly string[] =>
  loopDevices().flatMap(({ device, backing }) => (mayBe(backing, file) ? [device] : []));

/** Devices that still have a file whose name, this path, was removed. */
export const orphanLoopsOf = (file: string): readonly string[] =>
  loopDevices().flatMap(({ device, backing }) =>
    backing.endsWith(deleted) && mayBe(backing, file) ? [device] : [],
  );

const deleted = ' (deleted)';

// The kernel shows the whole path only while the mount namespace exists in which the file was attached.
// After a container has ended, the part of the path above its mount is missing.
const mayBe = (backing: string, file: string): boolean =>
  file.endsWith(backing.endsWith(deleted) ? backing.slice(0, -deleted.length) : backing);

/** Whether a loop device or a process has this file open for writing. */
export const isOpenForWriting = (path: string): boolean =>
  loopsOf(path).length > 0 ||
  namesIn('/proc').some((pid) => /^\d+$/.test(pid) && processWrites(pid, path));

const processWrites = (pid: string, path: string): boolean =>
  namesIn(`/proc/${pid}/fd`).some((fd) => {
    if (linkOf(`/proc/${pid}/fd/${fd}`) !== path) return false;
    const info = attempt(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')) ?? '';
    const flags = /^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0';
    // The lowest two bits of open(2) flags are the access mode; 0 is read only.
    return (parseInt(flags, 8) & 3) !== 0;
  });
