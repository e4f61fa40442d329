/**
 * Mount options come from storage classes and claims, and mount(8) reads them as root. An option that reaches
 * beyond the one volume, undoes what the driver decides, or loses data is refused here by name; the rest
 * is between the user and the file system.
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
    'hides what was written last and not yet replayed',
    'norecovery,noload,nologreplay,rescue',
  ),
  ...all('lets what was synced be lost with the node', 'nobarrier,barrier=0'),
  ...all('makes a mount that failed look like one that worked', 'nofail,noauto,fake'),
  ...all('stops the file system on purpose', 'abort,shutdown'),
  ...all('lets one damaged volume stop the whole node', 'errors=panic,fatal_errors=panic'),
]);

function all(why: string, names: string): [string, string][] {
  return names.split(',').map((name) => [name, why]);
}

// A name, then perhaps a value. No comma, quote or space: one flag must not bring others along. No
// dot and no colon in the name: `X-mount.mkdir`, `x-systemd.…` and `verity.…` are orders to mount(8).
const shape = /^([A-Za-z_][A-Za-z0-9_-]*)(?:=[A-Za-z0-9._:/@%+-]*)?$/;

// The kubelet passes the label of a pod like this, and a label has commas between its categories.
const label = /^(?:context|fscontext|defcontext|rootcontext)="[A-Za-z0-9._:,-]*"$/;

/** Why a mount flag is refused, in words that never repeat it beyond a name of our own list; undefined when it is fine. */
export function whyRefused(flag: string): string | undefined {
  if (label.test(flag)) return undefined;
  const name = shape.exec(flag)?.[1]?.toLowerCase();
  if (name === undefined || name.startsWith('x-'))
    return 'must be one option: a name, or name=value, without commas, quotes or spaces';
  return reason(name) ?? reason(flag.toLowerCase());
}

function reason(what: string): string | undefined {
  const why = refused.get(what);
  return why === undefined ? undefined : `must not be ${what}: it ${why}`;
}
