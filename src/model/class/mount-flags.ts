import { fsTypes, type FsType } from '../capability.ts';

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

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/**
 * Options that only some file systems have. From the pages on ext4, xfs and btrfs in the documentation of the kernel;
 * an option that is in no list may be one of every file system, and is left to mount(8).
 */
const known: Readonly<Record<FsType, ReadonlySet<string>>> = {
  ext4: new Set(
    words(`
      acl noacl user_xattr nouser_xattr data journal_checksum nojournal_checksum journal_async_commit
      journal_ioprio commit delalloc nodelalloc auto_da_alloc noauto_da_alloc max_batch_time min_batch_time stripe
      block_validity noblock_validity dioread_lock dioread_nolock max_dir_size_kb i_version dax
      inode_readahead_blks init_itable noinit_itable resuid resgid errors grpid bsdgroups nogrpid sysvgroups minixdf
      bsddf debug quota noquota usrquota grpquota prjquota usrjquota grpjquota jqfmt discard nodiscard nombcache
      no_mbcache prefetch_block_bitmaps no_prefetch_block_bitmaps mb_optimize_scan nouid32 inlinecrypt barrier`),
  ),
  xfs: new Set(
    words(`
      allocsize attr2 noattr2 dax discard nodiscard grpid bsdgroups nogrpid sysvgroups filestreams ikeep noikeep
      inode32 inode64 largeio nolargeio logbufs logbsize noalign nouuid noquota uquota usrquota quota uqnoenforce
      qnoenforce gquota grpquota gqnoenforce pquota prjquota pqnoenforce sunit swidth swalloc wsync`),
  ),
  btrfs: new Set(
    words(`
      acl noacl autodefrag noautodefrag barrier clear_cache commit compress compress-force datacow nodatacow datasum
      nodatasum degraded discard nodiscard enospc_debug noenospc_debug flushoncommit noflushoncommit max_inline
      metadata_ratio notreelog treelog space_cache nospace_cache ssd ssd_spread nossd nossd_spread thread_pool
      user_subvol_rm_allowed usebackuproot skip_balance`),
  ),
};

/** Why a mount flag cannot be one of this file system; undefined where it may be. */
export function whyUnfit(flag: string, fsType: FsType): string | undefined {
  const name = shape.exec(flag)?.[1]?.toLowerCase();
  if (name === undefined || known[fsType].has(name)) return undefined;
  const others = fsTypes.filter((each) => known[each].has(name));
  return others.length === 0
    ? undefined
    : `${name} is an option of ${others.join(' and ')}, not of ${fsType}`;
}
