import { fsTypes, type FsType } from '../capability.ts';

/** An option of mount(8) that a volume may have. */
export interface MountOption {
  /** It may stand without a value. */
  readonly alone: boolean;
  readonly takes: (value: string) => boolean;
  /** All its forms, for messages and documentation. */
  readonly says: (name: string) => string;
}

/** What a value may be. A form has one spelling for each value: the kernel reads `010` as 8, and `00` as 0. */
interface ValueForm {
  readonly takes: (value: string) => boolean;
  /** As it follows the name and "=". */
  readonly shown: string;
}

const whole = (least: number, most: number): ValueForm => ({
  takes: (value) =>
    /^(?:0|[1-9]\d{0,9})$/.test(value) && Number(value) >= least && Number(value) <= most,
  shown: `${least}…${most}`,
});

const powerOfTwo = (most: number): ValueForm => ({
  takes: (value) =>
    whole(0, most).takes(value) && (value === '0' || Number.isInteger(Math.log2(Number(value)))),
  shown: `0…${most} (a power of 2)`,
});

const oneOf = (...values: readonly string[]): ValueForm => ({
  takes: (value) => values.includes(value),
  shown: values.join('|'),
});

const like = (pattern: RegExp, shown: string): ValueForm => ({
  takes: (value) => pattern.test(value),
  shown,
});

type Entry = readonly [name: string, MountOption];

const each = (names: string, option: MountOption): readonly Entry[] =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => [name, option]);

/** Options without a value. */
const switches = (names: string): readonly Entry[] =>
  each(names, { alone: true, takes: () => false, says: (name) => name });

/** Options with a value. */
const valued = (names: string, { takes, shown }: ValueForm): readonly Entry[] =>
  each(names, { alone: false, takes, says: (name) => `${name}=${shown}` });

/** Options with or without a value. */
const either = (names: string, { takes, shown }: ValueForm): readonly Entry[] =>
  each(names, { alone: true, takes, says: (name) => `${name} or ${name}=${shown}` });

const id = whole(0, 4_294_967_294);

/**
 * Options of every file system, from mount(8). A label of SELinux with quotes, as the kubelet passes it, is known to
 * mount-flags.ts.
 */
export const ofAll: ReadonlyMap<string, MountOption> = new Map([
  ...switches(`
    ro rw sync async dirsync atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime
    lazytime nolazytime exec noexec nosuid nodev nosymfollow silent loud defaults iversion noiversion _netdev`),
  ...valued(
    'context fscontext defcontext rootcontext',
    like(/^[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+){2,4}$/, 'LABEL'),
  ),
]);

const groups = 'grpid nogrpid bsdgroups sysvgroups discard nodiscard';

const compression = like(
  /^(?:no|none|lzo|zlib(?::[0-9])?|zstd(?::(?:[0-9]|1[0-5]))?)$/,
  'no|none|lzo|zlib[:0…9]|zstd[:0…15]',
);

/**
 * Options of one file system, from the pages on ext4, xfs and btrfs in the documentation of the kernel and their manual
 * pages. What they warn of, what only helps to find faults, and what needs a second device is left out. Numbers are
 * bounded where a large one costs memory or threads of the node.
 */
export const ofOne: Readonly<Record<FsType, ReadonlyMap<string, MountOption>>> = {
  ext4: new Map([
    ...switches(groups),
    ...switches(`
      acl noacl user_xattr nouser_xattr journal_checksum nojournal_checksum journal_async_commit delalloc nodelalloc
      noauto_da_alloc block_validity noblock_validity dioread_lock dioread_nolock i_version noinit_itable bsddf
      minixdf quota noquota usrquota grpquota prjquota nombcache no_mbcache prefetch_block_bitmaps
      no_prefetch_block_bitmaps inlinecrypt`),
    ...either('barrier', oneOf('1')),
    ...either('auto_da_alloc', oneOf('0', '1')),
    ...either('init_itable', whole(0, 1000)),
    ...valued('commit', whole(1, 3600)),
    ...valued('data', oneOf('journal', 'ordered', 'writeback')),
    ...valued('data_err', oneOf('abort', 'ignore')),
    ...valued('errors', oneOf('continue', 'remount-ro')),
    ...valued('inode_readahead_blks', powerOfTwo(4096)),
    ...valued('journal_ioprio', whole(0, 7)),
    ...valued('max_batch_time min_batch_time', whole(0, 1_000_000)),
    ...valued('max_dir_size_kb', whole(0, 2_147_483_647)),
    ...valued('mb_optimize_scan', oneOf('0', '1')),
    ...valued('resuid resgid', id),
    ...valued('stripe', whole(0, 2_097_152)),
  ]),
  xfs: new Map([
    ...switches(groups),
    ...switches(`
      attr2 noattr2 filestreams ikeep noikeep inode32 inode64 largeio nolargeio noalign nouuid noquota uquota usrquota
      quota uqnoenforce qnoenforce gquota grpquota gqnoenforce pquota prjquota pqnoenforce swalloc wsync`),
    ...valued('allocsize', like(/^[1-9]\d{0,9}[kmg]?$/, 'BYTES[k|m|g]')),
    ...valued('logbufs', whole(2, 8)),
    ...valued(
      'logbsize',
      oneOf('16k', '32k', '64k', '128k', '256k', '16384', '32768', '65536', '131072', '262144'),
    ),
    ...valued('sunit swidth', whole(0, 2_147_483_647)),
  ]),
  btrfs: new Map([
    ...switches(`
      acl noacl autodefrag noautodefrag barrier clear_cache datacow nodatacow datasum nodatasum nodiscard
      flushoncommit noflushoncommit treelog notreelog nospace_cache ssd ssd_spread nossd nossd_spread
      user_subvol_rm_allowed skip_balance`),
    ...either('compress compress-force', compression),
    ...either('discard', oneOf('sync', 'async')),
    ...either('space_cache', oneOf('v1', 'v2')),
    ...valued('commit', whole(1, 3600)),
    ...valued('max_inline', like(/^(?:0|[1-9]\d{0,5})[kK]?$/, 'BYTES[k]')),
    ...valued('metadata_ratio', whole(0, 1000)),
    ...valued('thread_pool', whole(1, 64)),
  ]),
};

/** The list of all options that docs/parameters.md has, in Markdown. */
export function mountOptionsList(): string {
  const all = [['every file system', ofAll] as const];
  return [...all, ...fsTypes.map((type) => [type, ofOne[type]] as const)]
    .map(([title, options]) => `- **${title}**: ${shownOptions(options)}`)
    .join('\n');
}

const shownOptions = (options: ReadonlyMap<string, MountOption>): string =>
  Array.from(options, ([name, { says }]) => `\`${says(name).replace(' or ', '`, `')}\``).join(', ');
