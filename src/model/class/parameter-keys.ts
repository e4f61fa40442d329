import { z } from 'zod';
import { fsTypes } from '../capability.ts';
import { allowedOptions } from './mkfs-options.ts';

/** One key of a class: how its value is read, and what the documentation says of it. */
interface Definition {
  /** Its messages go on from `key "…"`. */
  readonly schema: z.ZodType;
  readonly value: string;
  readonly otherwise: string;
  readonly meaning: string;
}

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, `must be ${orList(values)}`);

const orList = (values: readonly string[]): string =>
  [values.slice(0, -1).join(', '), values.at(-1)].filter(Boolean).join(' or ');

const whole = (least: number, most: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,6}$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a whole number from ${least} to ${most}`,
    )
    .transform(Number);

const replicas = z
  .string()
  .regex(/^[123]$/, 'must be 1, 2 or 3')
  .transform(Number);
const truth = oneOf(['true', 'false']).transform((text) => text === 'true');

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

/** How often a file system may be trimmed by a clock of its own. */
export const trimSchedules = ['daily', 'weekly', 'monthly'] as const;

/** The form of an image's name, wherever it is given. */
export const imageName = plainName(63);

/** Every key that a class may have. */
export const definitions = {
  root: {
    schema: z.string().startsWith('/', 'must be an absolute path'),
    value: "one of the chart's `roots`",
    otherwise: 'the first of them',
    meaning: 'where volumes lie; clones stay inside a root',
  },
  pool: {
    schema: plainName(255),
    value: 'a storage pool that holds data',
    otherwise: 'chart value `pool`, then placement policy',
    meaning: 'pool of the image file (`mmchattr -P`)',
  },
  dataReplicas: {
    schema: replicas,
    value: '1, 2 or 3',
    otherwise: 'of the file system',
    meaning: 'copies of the data (`mmchattr -r`), up to the maximum of the file system',
  },
  metadataReplicas: {
    schema: replicas,
    value: '1, 2 or 3',
    otherwise: 'of the file system',
    meaning: 'copies of the metadata (`mmchattr -m`), not fewer than `dataReplicas`',
  },
  directIO: {
    schema: truth,
    value: '`true` or `false`',
    otherwise: '`false`',
    meaning:
      'GPFS bypasses its page pool for the file (`mmchattr -D`); the loop device asks for that anyway',
  },
  writeAffinityDepth: {
    schema: whole(0, 2),
    value: '0, 1 or 2',
    otherwise: 'of the pool',
    meaning:
      'on pools of node-local disks: how near to the writer blocks lie (`--write-affinity-depth`)',
  },
  blockGroupFactor: {
    schema: whole(1, 1024),
    value: '1 to 1024',
    otherwise: 'of the pool',
    meaning: 'on such pools: blocks laid out together (`--block-group-factor`)',
  },
  writeAffinityFailureGroup: {
    schema: z
      .string()
      .regex(
        /^[0-9*,:[\]-]+(?:;[0-9*,:[\]-]+){0,2}$/,
        'must be up to three failure groups separated by ";", such as 1,0,1;2,0,1',
      )
      .max(255, 'must be at most 255 long'),
    value: 'failure groups, `1,0,1;2,0,1`',
    otherwise: 'of the pool',
    meaning: 'on such pools: which nodes hold the copies (`--write-affinity-failure-group`)',
  },
  provisioning: {
    schema: oneOf(['thin', 'thick']),
    value: '`thin` or `thick`',
    otherwise: '`thin`',
    meaning: '`thick`: all blocks are allocated before the claim is bound, and never given back',
  },
  fsType: {
    schema: oneOf(fsTypes),
    value: '`ext4`, `xfs` or `btrfs`',
    otherwise: '`csi.storage.k8s.io/fstype`, then `ext4`',
    meaning: 'file system of the volume; both together must agree',
  },
  fsLabel: {
    schema: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,15}$/, 'must be a label of 1 to 16 plain characters'),
    value: 'up to 12 characters, 16 for ext4',
    otherwise: 'none',
    meaning: 'label given when the file system is made',
  },
  mkfsOptions: {
    schema: z.string().max(512, 'must be at most 512 long'),
    value: fsTypes.map((type) => `${type}: \`${allowedOptions(type)}\``).join('; '),
    otherwise: 'none',
    meaning: 'more words for mkfs; only these options, and `fsType` must be given',
  },
  maxCloneDepth: {
    schema: whole(0, deepest),
    value: `0 to ${deepest}; 0 is no bound`,
    otherwise: 'of the driver',
    meaning: 'how deep a chain of clones gets before the driver shortens it',
  },
  discard: {
    schema: oneOf(['auto', 'on', 'off']),
    value: '`auto`, `on` or `off`',
    otherwise: '`auto`; `off` for thick volumes',
    meaning: 'whether blocks that the file system frees are given back to GPFS',
  },
  trim: {
    schema: oneOf(['auto', ...trimSchedules, 'never']),
    value: '`auto`, `daily`, `weekly`, `monthly` or `never`',
    otherwise: '`auto`',
    meaning:
      'how often the node trims a mounted file system; `auto`: as its driver does all (chart value `trimHours`), unless `discard` is `on`',
  },
  freeze: {
    schema: oneOf(['auto', 'never']),
    value: '`auto` or `never`',
    otherwise: '`never`',
    meaning: 'whether a mounted file system is frozen while a snapshot is cut',
  },
  crossRootCopy: {
    schema: truth,
    value: '`true` or `false`',
    otherwise: '`false`',
    meaning: 'a source in another root is copied whole instead of refused',
  },
  image: {
    schema: imageName,
    value: 'a name of `gpfs-csi image list`',
    otherwise: 'none',
    meaning: 'golden image that a volume without another source starts from',
  },
  imageShareMode: {
    schema: oneOf(['copyOnWrite', 'copy']),
    value: '`copyOnWrite` or `copy`',
    otherwise: '`copyOnWrite`',
    meaning: 'whether volumes read through the image, or get a copy of their own',
  },
  encryptionAtRest: {
    schema: oneOf(['required', 'optional']),
    value: '`required` or `optional`',
    otherwise: '`optional`',
    meaning: '`required`: a file system that does not encrypt is refused',
  },
} as const satisfies Readonly<Record<string, Definition>>;
