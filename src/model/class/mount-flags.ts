import { fsTypes, type FsType } from '../capability.ts';
import { invalid } from '../fault.ts';
import { ofAll, ofOne, type MountOption } from './mount-options.ts';

/**
 * Mount options come from storage classes and claims, and mount(8) reads them as root. A volume may have those of
 * mount-options.ts and no other. The options here are refused with the reason, since people ask for them.
 */
const refused: ReadonlyMap<string, string> = new Map([
  ...all(
    'mounts something else than the volume',
    'loop,offset,sizelimit,encryption,bind,rbind,move,remount,overlay,helper,uhelper,logdev,rtdev,journal_dev,journal_path,sb,device,subvol,subvolid',
  ),
  ...all(
    'changes how the mount spreads to other namespaces',
    'shared,rshared,private,rprivate,slave,rslave,unbindable,runbindable,propagation',
  ),
  ...all('lets files of the volume gain rights on the node', 'suid,dev'),
  ...all('lets other users of the node mount and unmount', 'user,users,group,owner'),
  ...all(
    'hides or drops what was written last',
    'norecovery,noload,nologreplay,rescue,usebackuproot,degraded',
  ),
  ...all('lets what was synced be lost with the node', 'nobarrier,barrier=0'),
  ...all('makes a mount that failed look like one that worked', 'nofail,noauto,fake'),
  ...all('stops the file system on purpose', 'abort,shutdown,errortag'),
  ...all('lets one damaged volume stop the whole node', 'errors=panic,fatal_errors'),
  ...all('fills the log of the kernel', 'debug,enospc_debug'),
]);

function all(why: string, names: string): [string, string][] {
  return names.split(',').map((name) => [name, why]);
}

// A name, then perhaps a value. No comma, quote or space: one flag must not bring others along. No
// dot and no colon in the name: `X-mount.mkdir`, `x-systemd.…` and `verity.…` are orders to mount(8).
const shape = /^(?<name>[A-Za-z_][A-Za-z0-9_-]*)(?:=(?<value>[A-Za-z0-9._:/@%+-]*))?$/;

// The kubelet passes the label of a pod like this, and a label has commas between its categories.
const label = /^(?:context|fscontext|defcontext|rootcontext)="[A-Za-z0-9._:,-]*"$/;

/** A flag in its parts. */
interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

function parse(flag: string): Flag | undefined {
  const { name, value } = shape.exec(flag)?.groups ?? {};
  return name === undefined || name.toLowerCase().startsWith('x-') ? undefined : { name, value };
}

/**
 * Why no volume may have a mount flag, in words that never repeat it beyond a name of our own lists; undefined
 * where a volume of some file system may.
 */
export function whyRefused(flag: string): string | undefined {
  if (label.test(flag)) return undefined;
  const parsed = parse(flag);
  if (parsed === undefined)
    return 'must be one option: a name, or name=value, without commas, quotes or spaces';
  const found = fsTypes.flatMap((type) => optionOf(type, parsed) ?? []);
  if (found.some((option) => fits(option, parsed))) return undefined;
  return reason(parsed) ?? whyWrong(found[0], parsed);
}

function reason({ name, value }: Flag): string | undefined {
  const plain = name.toLowerCase();
  for (const what of [plain, `${plain}=${numberIn(value)}`]) {
    const why = refused.get(what);
    if (why !== undefined) return `must not be ${what}: it ${why}`;
  }
  return undefined;
}

// The kernel takes `00` and `0x0` for 0.
const numberIn = (value = ''): string =>
  /^[+-]?0(?:x0|0)*$/i.test(value) ? '0' : value.toLowerCase();

const whyWrong = (option: MountOption | undefined, { name }: Flag): string =>
  option
    ? `must be ${option.says(name)}`
    : 'must be a mount option that a volume may have; docs/parameters.md lists them';

const optionOf = (type: FsType, { name }: Flag): MountOption | undefined =>
  ofAll.get(name) ?? ofOne[type].get(name);

const fits = (option: MountOption, { value }: Flag): boolean =>
  value === undefined ? option.alone : option.takes(value);

/** Why a volume with this file system may not have a mount flag; undefined where it may. */
export function whyUnfit(flag: string, fsType: FsType): string | undefined {
  const why = whyRefused(flag);
  const parsed = parse(flag);
  if (why !== undefined || parsed === undefined) return why;
  const option = optionOf(fsType, parsed);
  if (option) return fits(option, parsed) ? undefined : whyWrong(option, parsed);
  const others = fsTypes.filter((type) => optionOf(type, parsed));
  return `${parsed.name} is an option of ${others.join(' and ')}, not of ${fsType}`;
}

/** Throws invalid-request on `field` where a volume with this file system may not have all these mount flags. */
export function requireFittingFlags(
  flags: readonly string[],
  fsType: FsType,
  { field, of }: { readonly field: string; readonly of: string },
): void {
  const why = flags.map((flag) => whyUnfit(flag, fsType)).find((each) => each !== undefined);
  if (why === undefined) return;
  throw invalid(
    field,
    `has a mount option that does not fit the ${fsType} of ${of}: ${why}; use a class without it`,
  );
}
