import { z } from 'zod';
import type { Capability, FsType } from '../capability.ts';
import { invalid } from '../fault.ts';
import { definitions, type trimSchedules } from './parameter-keys.ts';
import { mkfsWords } from './mkfs-options.ts';

/** What a storage class may say, decoded; absent means the root's or GPFS's default. */
export interface ClassParameters {
  /** Path of a configured root. */
  readonly root?: string;
  readonly attributes: FileAttributes;
  readonly options: VolumeOptions;
  /** A source in another root is copied whole; without it, it is refused. */
  readonly crossRootCopy: boolean;
  /** The golden image that a new volume starts from. */
  readonly image?: { readonly name: string; readonly share: ShareMode };
  /** Only a file system that encrypts at rest will do. */
  readonly encrypted: boolean;
}

/** What mmchattr sets on a data file. */
export interface FileAttributes {
  readonly pool?: string | undefined;
  readonly dataReplicas?: number | undefined;
  readonly metadataReplicas?: number | undefined;
  readonly directIo?: boolean | undefined;
  readonly writeAffinityDepth?: number | undefined;
  readonly blockGroupFactor?: number | undefined;
  readonly writeAffinityFailureGroup?: string | undefined;
}

/** What the record of a volume keeps of its class, for whoever looks after it later. */
export interface VolumeOptions {
  readonly provisioning?: 'thin' | 'thick' | undefined;
  /** 0: no bound. */
  readonly maxCloneDepth?: number | undefined;
  /** Thick volumes have `off`: nothing may make them sparse again, mkfs neither. */
  readonly discard?: 'auto' | 'on' | 'off' | undefined;
  readonly trim?: Trim | undefined;
  readonly freeze?: 'auto' | 'never' | undefined;
  readonly fsType?: FsType | undefined;
  readonly fsLabel?: string | undefined;
  /** Words of a command line, checked against what is allowed for `fsType`. */
  readonly mkfsOptions?: readonly string[] | undefined;
}

/** How often the file system of a volume is trimmed; `auto` leaves that to the driver of its node. */
export type Trim = 'auto' | (typeof trimSchedules)[number] | 'never';

/** Whether a volume reads through its golden image or has a copy of its own. */
export type ShareMode = 'copyOnWrite' | 'copy';

/** Prefix of what the Kubernetes sidecars add of their own accord. */
const sidecarPrefix = 'csi.storage.k8s.io/';

/** Every key of a class, in the order of the documentation. */
const keys = Object.keys(definitions) as readonly (keyof typeof definitions)[];

const schema = z.object({
  ...Object.fromEntries(keys.map((key) => [key, definitions[key].schema.optional()])),
} as { [Key in keyof typeof definitions]: z.ZodOptional<(typeof definitions)[Key]['schema']> });

type Decoded = z.output<typeof schema>;

/** Decodes class parameters. Throws invalid-request naming a key we do not know or cannot use. */
export function classParameters(parameters: ReadonlyMap<string, string>): ClassParameters {
  const own = ownParameters(parameters);
  for (const key of own.keys()) requireKnown('parameters', key, keys);
  const decoded = decodeKeys('parameters', schema, own);
  refuseContradictions(decoded);
  const { root, crossRootCopy, encryptionAtRest } = decoded;
  return {
    ...(root === undefined ? {} : { root }),
    ...(decoded.image === undefined
      ? {}
      : { image: { name: decoded.image, share: decoded.imageShareMode ?? 'copyOnWrite' } }),
    attributes: attributesOf(decoded),
    options: optionsOf(decoded),
    crossRootCopy: crossRootCopy ?? false,
    encrypted: encryptionAtRest === 'required',
  };
}

/** Throws invalid-request for a key that is none of those known. */
export function requireKnown(field: string, key: string, known: readonly string[]): void {
  if (known.includes(key)) return;
  throw invalid(field, `has an unknown key ${JSON.stringify(key)}; known are ${known.join(', ')}`);
}

/** Reads values by a schema whose messages go on from `key "…"`. */
export function decodeKeys<T>(
  field: string,
  by: z.ZodType<T>,
  own: ReadonlyMap<string, string>,
): T {
  const result = by.safeParse(Object.fromEntries(own));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = String(issue?.path[0]);
  throw invalid(
    field,
    `key "${key}" ${issue?.message ?? 'is wrong'}, not ${JSON.stringify(own.get(key))}`,
  );
}

/** The parameters without those of the sidecars: what two requests must have in common. */
export const ownParameters = (
  parameters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> =>
  new Map([...parameters].filter(([key]) => !key.startsWith(sidecarPrefix)).sort());

/** True when there is something to tell mmchattr. */
export const hasAttributes = (attributes: FileAttributes): boolean =>
  Object.values(attributes).some((value) => value !== undefined);

/**
 * What the context of a clone says where its placement cannot be that of all its blocks: those shared with its
 * source stay where that is, and only those written from now on follow the class.
 */
export function sharedPlacement(
  wanted: FileAttributes,
  source: FileAttributes,
): Readonly<Record<string, string>> {
  const keys = ['pool', 'dataReplicas', 'metadataReplicas'] as const;
  const different = keys.filter((key) => wanted[key] !== undefined && wanted[key] !== source[key]);
  if (different.length === 0) return {};
  return {
    sharedBlocks: `keep the placement of the source; ${different
      .map((key) => `${key} ${String(wanted[key])}`)
      .join(', ')} applies to blocks written after the clone`,
  };
}

/**
 * What the context of a raw block volume says when its class wants no discards: those of its user cannot be held
 * back, since the kernel's switch for them would outlast the volume's use of the device.
 */
export const undiscarded = (
  { discard }: Pick<VolumeOptions, 'discard'>,
  capabilities: readonly Capability[],
): Readonly<Record<string, string>> =>
  discard === 'off' && capabilities.some(({ access }) => access.kind === 'block')
    ? { discards: 'those of the user of the block device give blocks back all the same' }
    : {};

const attributesOf = (decoded: Decoded): FileAttributes =>
  said({
    pool: decoded.pool,
    dataReplicas: decoded.dataReplicas,
    metadataReplicas: decoded.metadataReplicas,
    directIo: decoded.directIO,
    writeAffinityDepth: decoded.writeAffinityDepth,
    blockGroupFactor: decoded.blockGroupFactor,
    writeAffinityFailureGroup: decoded.writeAffinityFailureGroup,
  });

function optionsOf(decoded: Decoded): VolumeOptions {
  const { provisioning, maxCloneDepth, discard, trim, freeze, fsType, fsLabel } = decoded;
  return said({
    provisioning,
    maxCloneDepth,
    discard: provisioning === 'thick' ? 'off' : discard,
    trim,
    freeze,
    fsType,
    fsLabel,
    mkfsOptions: mkfsOptions(decoded),
  });
}

/** Only what was said: fields that are undefined are left out. */
export const said = <T extends object>(values: T): T =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;

function mkfsOptions({ mkfsOptions: text, fsType }: Decoded): readonly string[] | undefined {
  if (text === undefined || fsType === undefined) return undefined;
  const read = mkfsWords(fsType, text);
  if ('words' in read) return read.words;
  throw invalid('parameters', `key "mkfsOptions" ${read.problem}`);
}

type Rule = readonly [wrong: (decoded: Decoded) => boolean, sentence: string];

const given = (value: unknown): boolean => value !== undefined;

const rules: readonly Rule[] = [
  [
    ({ provisioning, discard }) => provisioning === 'thick' && given(discard) && discard !== 'off',
    'key "discard" must be off with "provisioning" thick, which discarding would undo',
  ],
  [
    ({ provisioning, trim }) => provisioning === 'thick' && isScheduled(trim),
    'key "trim" must be auto or never with "provisioning" thick, which trimming would undo',
  ],
  [
    ({ discard, trim }) => discard === 'off' && isScheduled(trim),
    'key "trim" must be auto or never with "discard" off, since a trim is a discard',
  ],
  [
    ({ mkfsOptions: options, fsType }) => given(options) && !given(fsType),
    'key "mkfsOptions" needs "fsType" in the same class, since the options of ext4 and xfs differ',
  ],
  [
    ({ fsLabel, fsType }) => (fsLabel?.length ?? 0) > 12 && fsType !== 'ext4',
    'key "fsLabel" must be at most 12 characters, or 16 with "fsType" ext4',
  ],
  [
    ({ image, fsLabel, mkfsOptions: options }) =>
      given(image) && (given(fsLabel) || given(options)),
    'key "image" contradicts "fsLabel" and "mkfsOptions": an image is never formatted',
  ],
  [
    ({ image, imageShareMode }) => given(imageShareMode) && !given(image),
    'key "imageShareMode" needs "image" in the same class',
  ],
];

/** Trimmed by a clock of its own, whatever the driver of its node does by itself. */
export const isScheduled = (trim: Trim | undefined): trim is (typeof trimSchedules)[number] =>
  trim !== undefined && trim !== 'auto' && trim !== 'never';

/** Throws invalid-request for more copies of the data than of what leads to it. */
export function refuseMoreDataThanMetadata(attributes: FileAttributes, field: string): void {
  const { dataReplicas: data, metadataReplicas: metadata } = attributes;
  if (data === undefined || metadata === undefined || data <= metadata) return;
  throw invalid(
    field,
    `key "dataReplicas" must not be larger than "metadataReplicas", and ${data} is larger than ${metadata}`,
  );
}

function refuseContradictions(decoded: Decoded): void {
  refuseMoreDataThanMetadata(decoded, 'parameters');
  const broken = rules.find(([wrong]) => wrong(decoded));
  if (broken) throw invalid('parameters', broken[1]);
}

/** The table of docs/parameters.md. */
export function parameterTable(): string {
  const head = '| parameter | value | default | meaning |\n| --- | --- | --- | --- |';
  const rows = keys.map((key) => {
    const { value, otherwise, meaning } = definitions[key];
    return `| \`${key}\` | ${value} | ${otherwise} | ${meaning} |`;
  });
  return [head, ...rows].join('\n');
}
