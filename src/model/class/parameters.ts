import type { Capability } from '../capability.ts';
import { invalid } from '../fault.ts';
import { sidecarPrefix } from '../kubernetes.ts';
import { mkfsWords } from './mkfs-options.ts';
import { parameterKeys, type trimSchedules } from './parameter-keys.ts';
import {
  decoderOf,
  partOf,
  type Decoded,
  type DecodedPart,
  type RecordedPart,
} from './parameter-table.ts';

type Table = typeof parameterKeys;

/** What mmchattr sets on a data file, as the record of a volume keeps it; absent means the default of GPFS. */
export type FileAttributes = RecordedPart<Table, 'attributes'>;

/** What the record of a volume keeps of its class besides attributes. */
export type VolumeOptions = RecordedPart<Table, 'options' | 'format'>;

/** What a storage class says, decoded; absent means the default. */
export interface ClassParameters {
  readonly attributes: FileAttributes;
  readonly options: VolumeOptions;
  /** What counts only while the volume is made. */
  readonly creation: DecodedPart<Table, 'creation'>;
}

const decode = decoderOf(parameterKeys, 'parameters');

/** Decodes class parameters. Throws invalid-request naming a key that is unknown, wrong, or contradicts another one. */
export function classParameters(parameters: ReadonlyMap<string, string>): ClassParameters {
  const decoded = decode(ownParameters(parameters));
  refuseContradictions(decoded);
  return {
    attributes: withoutUndefined(partOf(parameterKeys, 'attributes', decoded)),
    options: optionsOf(decoded),
    creation: withoutUndefined(partOf(parameterKeys, 'creation', decoded)),
  };
}

/** The parameters without those of the sidecars: what two requests must have in common. */
export const ownParameters = (
  parameters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> =>
  new Map([...parameters].filter(([key]) => !key.startsWith(sidecarPrefix)).sort());

/** True when there is something for mmchattr to set. */
export const hasAttributes = (attributes: FileAttributes): boolean =>
  Object.values(attributes).some((value) => value !== undefined);

/**
 * What the context of a clone says where its class cannot place all its blocks: those shared with its
 * source stay where the source is, and only those written from now on follow the class.
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
 * What the context of a raw block volume says when its class wants no discards: those of its user cannot be stopped,
 * since the kernel's switch for them would outlast the volume's use of the device.
 */
export const discardNote = (
  { discard }: Pick<VolumeOptions, 'discard'>,
  capabilities: readonly Capability[],
): Readonly<Record<string, string>> =>
  discard === 'off' && capabilities.some(({ access }) => access.kind === 'block')
    ? { discards: 'those of the user of the block device give blocks back all the same' }
    : {};

const optionsOf = (decoded: Decoded<Table>): VolumeOptions =>
  withoutUndefined({
    ...partOf(parameterKeys, 'options', decoded),
    ...partOf(parameterKeys, 'format', decoded),
    discard: decoded.provisioning === 'thick' ? 'off' : decoded.discard,
    mkfsOptions: mkfsOptions(decoded),
  });

/** The same object without fields that are undefined. */
export const withoutUndefined = <T extends object>(values: T): T =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;

function mkfsOptions({ mkfsOptions: text, fsType }: Decoded<Table>): readonly string[] | undefined {
  if (text === undefined || fsType === undefined) return undefined;
  const read = mkfsWords(fsType, text);
  if ('words' in read) return read.words;
  throw invalid('parameters', `key "mkfsOptions" ${read.problem}`);
}

type Rule = readonly [wrong: (decoded: Decoded<Table>) => boolean, sentence: string];

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

/** Trimmed on a schedule of its own, whatever the driver of its node does without one. */
export const isScheduled = (trim: VolumeOptions['trim']): trim is (typeof trimSchedules)[number] =>
  trim !== undefined && trim !== 'auto' && trim !== 'never';

/** Throws invalid-request for more copies of the data than of the metadata that leads to it. */
export function refuseMoreDataThanMetadata(attributes: FileAttributes, field: string): void {
  const { dataReplicas: data, metadataReplicas: metadata } = attributes;
  if (data === undefined || metadata === undefined || data <= metadata) return;
  throw invalid(
    field,
    `key "dataReplicas" must not be larger than "metadataReplicas", and ${data} is larger than ${metadata}`,
  );
}

function refuseContradictions(decoded: Decoded<Table>): void {
  refuseMoreDataThanMetadata(decoded, 'parameters');
  const broken = rules.find(([wrong]) => wrong(decoded));
  if (broken) throw invalid('parameters', broken[1]);
}
