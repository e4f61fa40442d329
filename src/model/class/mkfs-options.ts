import type { FsType } from '../capability.ts';

/**
 * Options of mkfs that a class may use, each with the form of its value: a list of forms where the value is a
 * list with commas. Any other option is refused, because mkfs runs as root on every host and has options
 * that read host files (`-d` of ext4, `-p` of xfs, `-r` of btrfs), use other devices, or undo what the driver relies on.
 */
const allowed: Readonly<Record<FsType, Readonly<Record<string, readonly RegExp[]>>>> = {
  ext4: {
    '-E': [
      /^(?:stride|stripe_width|packed_meta_blocks|resize|num_backup_sb)=\d{1,15}$/,
      /^lazy_(?:itable|journal)_init=[01]$/,
    ],
    '-G': [/^\d{1,9}$/],
    '-I': [/^(?:128|256|512|1024|2048|4096)$/],
    '-J': [/^(?:size|fast_commit_size)=\d{1,9}$/],
    '-N': [/^\d{1,15}$/],
    '-O': [
      /^\^?(?:dir_index|dir_nlink|ea_inode|extra_isize|fast_commit|flex_bg|huge_file|inline_data|large_dir|metadata_csum|metadata_csum_seed|orphan_file|project|quota|sparse_super2?|stable_inodes|uninit_bg|verity)$/,
    ],
    '-i': [/^\d{1,9}$/],
    '-m': [/^(?:[0-9]|[1-4][0-9]|50)(?:\.\d{1,3})?$/],
  },
  xfs: {
    '-d': [/^(?:agcount|sunit|swidth|sw)=\d{1,9}$/, /^(?:agsize|su)=\d{1,12}[kmgt]?$/, /^noalign$/],
    '-i': [
      /^(?:size|perblock)=\d{1,4}$/,
      /^maxpct=(?:\d{1,2}|100)$/,
      /^(?:sparse|nrext64|exchange)=[01]$/,
    ],
    '-l': [/^size=\d{1,12}[kmg]?$/, /^su=\d{1,9}[km]?$/, /^(?:sunit=\d{1,9}|lazy-count=[01])$/],
    '-m': [/^(?:bigtime|crc|finobt|inobtcount|reflink|rmapbt)=[01]$/],
    '-n': [/^size=\d{1,6}k?$/, /^parent=[01]$/],
  },
  btrfs: {
    '--csum': [/^(?:crc32c|xxhash|sha256|blake2)$/],
    '-O': [/^\^?(?:block-group-tree|extref|free-space-tree|no-holes|quota|skinny-metadata)$/],
    '-d': [/^(?:single|dup)$/],
    '-m': [/^(?:single|dup)$/],
    '-n': [/^(?:4096|8192|16384|32768|65536|4k|8k|16k|32k|64k)$/],
  },
};

/** The words of a text of mkfs options, or what is wrong with it. */
export function mkfsWords(
  fsType: FsType,
  value: string,
): { readonly words: readonly string[] } | { readonly problem: string } {
  const words = value.split(/\s+/).filter((word) => word !== '');
  for (let n = 0; n < words.length; n += 2) {
    const problem = whyNot(fsType, words[n] ?? '', words[n + 1]);
    if (problem !== undefined) return { problem };
  }
  return { words };
}

/** What is wrong with the words of a record, which somebody else may have written; undefined where mkfs may have them. */
export function wrongWords(said: {
  readonly fsType?: FsType | undefined;
  readonly mkfsOptions?: readonly string[] | undefined;
}): string | undefined {
  const { fsType, mkfsOptions = [] } = said;
  if (mkfsOptions.length === 0) return undefined;
  if (fsType === undefined) return 'it has mkfsOptions and no fsType';
  const read = mkfsWords(fsType, mkfsOptions.join(' '));
  if ('problem' in read) return `its mkfsOptions ${read.problem}`;
  return read.words.length === mkfsOptions.length ? undefined : 'its mkfsOptions hold spaces';
}

function whyNot(fsType: FsType, option: string, value: string | undefined): string | undefined {
  const forms = Object.hasOwn(allowed[fsType], option) ? allowed[fsType][option] : undefined;
  if (!forms)
    return `cannot hold ${JSON.stringify(option)}; for ${fsType} it may hold ${allowedOptions(fsType)}`;
  const strange = (value ?? '').split(',').find((part) => !forms.some((form) => form.test(part)));
  if (strange === undefined) return undefined;
  return value === undefined
    ? `needs a value after ${option}`
    : `cannot hold ${JSON.stringify(strange)} with ${option} of ${fsType}; docs/parameters.md tells what it may`;
}

/** For messages and documentation. */
export const allowedOptions = (fsType: FsType): string => Object.keys(allowed[fsType]).join(', ');
