import { z } from 'zod';
import { fsTypes } from '../capability.ts';
import { allowedOptions } from './mkfs-options.ts';
import type { ParameterTable, ValueForm } from './parameter-table.ts';

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) => ({
  read: z.enum(values, `must be ${orList(values)}`),
  recorded: z.enum(values),
});

const orList = (values: readonly string[]): string =>
  [values.slice(0, -1).join(', '), values.at(-1)].filter(Boolean).join(' or ');

const whole = (least: number, most: number) => ({
  read: z
    .string()
    .refine(
      (text) => /^\d{1,6}$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a whole number from ${least} to ${most}`,
    )
    .transform(Number),
  recorded: z.int().min(least).max(most),
});

const replicas = {
  read: z
    .string()
    .regex(/^[123]$/, 'must be 1, 2 or 3')
    .transform(Number),
  recorded: z.int().min(1).max(3),
};

const truth = {
  read: oneOf(['true', 'false']).read.transform((text) => text === 'true'),
  recorded: z.boolean(),
};

const text = (read: z.ZodType<string>) => ({ read, recorded: read }) as const satisfies ValueForm;

/** Depth at which GPFS itself refuses another clone. */
const deepest = 1000;

/** The name of a storage pool or of a golden image. */
const plainName = (longest: number) =>
  z
    .string()
    .regex(
      new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,${longest - 1}}$`),
      `must be a name of letters, digits, "_", "." and "-", at most ${longest} long`,
    );

/** How often a node may trim the file system of a volume on a schedule of that volume. */
export const trimSchedules = ['daily', 'weekly', 'monthly'] as const;

/** The form of an image's name, wherever it is given. */
export const imageName = plainName(63);

/**
 * Every key that a class may have. An entry is all that a new option needs: what decodes classes, what reads and writes
 * records, what changes volumes, and docs/parameters.md are made from this table. Rules about two keys together are in
 * parameters.ts, and for attributes the flags of mmchattr are in gpfs/mmchattr.ts.
 */
export const parameterKeys = {
  root: {
    form: text(z.string().startsWith('/', 'must be an absolute path')),
    value: "one of the chart's `roots`",
    default: 'the first of them',
    meaning: 'where volumes lie; clones stay inside a root',
  },
  pool: {
    form: text(plainName(255)),
    kept: 'attributes',
    mutable: true,
    value: 'a storage pool that holds data',
    default: 'chart value `pool`, then placement policy',
    meaning: 'pool of the image file (`mmchattr -P`)',
  },
  dataReplicas: {
    form: replicas,
    kept: 'attributes',
    mutable: true,
    value: '1, 2 or 3',
    default: 'of the file system',
    meaning: 'copies of the data (`mmchattr -r`), up to the maximum of the file system',
  },
  metadataReplicas: {
    form: replicas,
    kept: 'attributes',
    mutable: true,
    value: '1, 2 or 3',
    default: 'of the file system',
    meaning: 'copies of the metadata (`mmchattr -m`), not fewer than `dataReplicas`',
  },
  directIO: {
    form: truth,
    kept: 'attributes',
    keptAs: 'directIo',
    value: '`true` or `false`',
    default: '`false`',
    meaning:
      'GPFS bypasses its page pool for the file (`mmchattr -D`); the loop device asks for that anyway',
  },
  writeAffinityDepth: {
    form: whole(0, 2),
    kept: 'attributes',
    value: '0, 1 or 2',
    default: 'of the pool',
    meaning:
      'on pools of node-local disks: how near to the writer blocks lie (`--write-affinity-depth`)',
  },
  blockGroupFactor: {
    form: whole(1, 1024),
    kept: 'attributes',
    value: '1 to 1024',
    default: 'of the pool',
    meaning: 'on such pools: blocks laid out together (`--block-group-factor`)',
  },
  writeAffinityFailureGroup: {
    form: text(
      z
        .string()
        .regex(
          /^[0-9*,:[\]-]+(?:;[0-9*,:[\]-]+){0,2}$/,
          'must be up to three failure groups separated by ";", such as 1,0,1;2,0,1',
        )
        .max(255, 'must be at most 255 long'),
    ),
    kept: 'attributes',
    value: 'failure groups, `1,0,1;2,0,1`',
    default: 'of the pool',
    meaning: 'on such pools: which nodes hold the copies (`--write-affinity-failure-group`)',
  },
  provisioning: {
    form: oneOf(['thin', 'thick']),
    kept: 'options',
    value: '`thin` or `thick`',
    default: '`thin`',
    meaning: '`thick`: all blocks are allocated before the claim is bound, and never given back',
  },
  fsType: {
    form: oneOf(fsTypes),
    kept: 'format',
    value: '`ext4`, `xfs` or `btrfs`',
    default: '`csi.storage.k8s.io/fstype`, then `ext4`',
    meaning:
      'file system of the volume; give one of the two keys, the provisioner refuses both together',
  },
  fsLabel: {
    form: text(
      z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,15}$/, 'must be a label of 1 to 16 plain characters'),
    ),
    kept: 'format',
    value: 'up to 12 characters, 16 for ext4',
    default: 'none',
    meaning: 'label given when the file system is made',
  },
  mkfsOptions: {
    // Recorded are the words of a command line, checked against what is allowed for `fsType`.
    form: {
      read: z.string().max(512, 'must be at most 512 long'),
      recorded: z.array(z.string().max(512)).max(512).readonly(),
    },
    kept: 'format',
    value: fsTypes.map((type) => `${type}: \`${allowedOptions(type)}\``).join('; '),
    default: 'none',
    meaning: 'more words for mkfs; only these options, and `fsType` must be given',
  },
  maxCloneDepth: {
    form: whole(0, deepest),
    kept: 'options',
    mutable: true,
    value: `0 to ${deepest}; 0 is no bound`,
    default: 'of the driver',
    meaning: 'how deep a chain of clones gets before the driver shortens it',
  },
  discard: {
    // Recorded as `off` for a thick volume: nothing may make it sparse again, mkfs neither.
    form: oneOf(['auto', 'on', 'off']),
    kept: 'options',
    mutable: true,
    value: '`auto`, `on` or `off`',
    default: '`auto`; `off` for thick volumes',
    meaning: 'whether blocks that the file system frees are given back to GPFS',
  },
  trim: {
    form: oneOf(['auto', ...trimSchedules, 'never']),
    kept: 'options',
    mutable: true,
    value: '`auto`, `daily`, `weekly`, `monthly` or `never`',
    default: '`auto`',
    meaning:
      'how often the node trims a mounted file system; `auto`: as its driver does all (chart value `trimHours`), unless `discard` is `on`',
  },
  freeze: {
    form: oneOf(['auto', 'never']),
    kept: 'options',
    mutable: true,
    value: '`auto` or `never`',
    default: '`never`',
    meaning: 'whether a mounted file system is frozen while a snapshot is cut',
  },
  privilegedFiles: {
    form: oneOf(['ignored', 'allowed']),
    kept: 'options',
    mutable: true,
    value: '`ignored` or `allowed`',
    default: '`ignored`',
    meaning:
      'whether setuid programs, file capabilities and device nodes in a mounted volume have effect; `ignored` mounts it with `nosuid,nodev`',
  },
  crossRootCopy: {
    form: truth,
    value: '`true` or `false`',
    default: '`false`',
    meaning: 'a source in another root is copied whole instead of refused',
  },
  image: {
    form: text(imageName),
    value: 'a name of `gpfs-csi image list`',
    default: 'none',
    meaning: 'golden image that a volume without another source starts from',
  },
  imageShareMode: {
    form: oneOf(['copyOnWrite', 'copy']),
    value: '`copyOnWrite` or `copy`',
    default: '`copyOnWrite`',
    meaning: 'whether volumes read through the image, or get a copy of their own',
  },
  encryptionAtRest: {
    form: oneOf(['required', 'optional']),
    value: '`required` or `optional`',
    default: '`optional`',
    meaning: '`required`: a file system that does not encrypt is refused',
  },
} as const satisfies ParameterTable;
