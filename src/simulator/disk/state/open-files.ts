import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Processes end and devices go while we look: what cannot be read is not there. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** What a directory holds; nothing where it is not there. */
export const namesIn = (directory: string): readonly string[] =>
  attempt(() => readdirSync(directory)) ?? [];

/** Where a symbolic link leads. */
export const linkOf = (path: string): string | undefined => attempt(() => readlinkSync(path));

export interface LoopDevice {
  /** `/dev/loop3` */
  readonly device: string;
  /** Path of the file behind it, as it was when it was attached. */
  readonly backing: string;
}

/** Loop devices that have a file, from sysfs. */
export const loopDevices = (): readonly LoopDevice[] =>
  namesIn('/sys/block').flatMap((name) => {
    if (!name.startsWith('loop')) return [];
    const file = attempt(() => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8'));
    return file === undefined ? [] : [{ device: `/dev/${name}`, backing: file.trimEnd() }];
  });

/** Devices whose file is this one, as far as its path tells; `attachments` knows for certain. */
export const loopsOf = (file: string): readonly string[] =>
  loopDevices().flatMap(({ device, backing }) => (mayBe(backing, file) ? [device] : []));

/** Devices that go on with the file that had this path until its name was removed. */
export const orphanLoopsOf = (file: string): readonly string[] =>
  loopDevices().flatMap(({ device, backing }) =>
    backing.endsWith(deleted) && mayBe(backing, file) ? [device] : [],
  );

const deleted = ' (deleted)';

// The kernel shows the whole path only while the mount namespace lives in which the file was attached.
// Of a container that has ended, what was above its mount is missing.
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
