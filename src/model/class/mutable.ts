import { invalid } from '../fault.ts';
import { parameterKeys } from './parameter-keys.ts';
import {
  isScheduled,
  refuseMoreDataThanMetadata,
  withoutUndefined,
  type FileAttributes,
  type VolumeOptions,
} from './parameters.ts';
import { decoderOf, mutableOf, partOf, type RecordedPart } from './parameter-table.ts';

const mutable = mutableOf(parameterKeys);

/** What a VolumeAttributesClass changes of a volume that exists: attributes of its file, and options of its record. */
export interface VolumeChange {
  readonly attributes: RecordedPart<typeof mutable, 'attributes'>;
  readonly options: RecordedPart<typeof mutable, 'options'>;
}

const field = 'mutable_parameters';

const decode = decoderOf(mutable, field);

/** Decodes a VolumeAttributesClass. Throws invalid-request for a key that cannot be changed. */
export function volumeChange(parameters: ReadonlyMap<string, string>): VolumeChange {
  const decoded = decode(parameters);
  return {
    attributes: withoutUndefined(partOf(mutable, 'attributes', decoded)),
    options: withoutUndefined(partOf(mutable, 'options', decoded)),
  };
}

/** What a volume has now, as far as a change concerns it. */
interface Changeable {
  readonly attributes: FileAttributes;
  readonly options: VolumeOptions;
}

/** Throws invalid-request where a change contradicts what the volume keeps. */
export function requireFitting(now: Changeable, change: VolumeChange): void {
  const { attributes, options } = changed(now, change);
  refuseMoreDataThanMetadata(attributes, field);
  refuseTrim(options);
  const { discard } = change.options;
  if (now.options.provisioning !== 'thick' || discard === undefined || discard === 'off') return;
  throw invalid(
    field,
    'key "discard" must be off for this volume: it is thick, and discarding would undo that',
  );
}

function refuseTrim({ discard, trim }: VolumeOptions): void {
  if (discard !== 'off' || !isScheduled(trim)) return;
  throw invalid(
    field,
    `key "trim" must be auto or never while "discard" is off, and here it would be ${trim}; change both`,
  );
}

interface Parts<Attributes extends object, Options extends object> {
  readonly attributes: Attributes;
  readonly options: Options;
}

/** What a volume has after a change. */
export const changed = <Attributes extends object, Options extends object>(
  now: Parts<Attributes, Options>,
  change: Parts<Partial<Attributes>, Partial<Options>>,
): Parts<Attributes, Options> => ({
  attributes: { ...now.attributes, ...change.attributes },
  options: { ...now.options, ...change.options },
});

/** The part of a change that the volume does not have yet. */
export const whatIsLeft = <Attributes extends object, Options extends object>(
  now: Parts<object, object>,
  change: Parts<Attributes, Options>,
): Parts<Attributes, Options> => ({
  attributes: without(change.attributes, now.attributes),
  options: without(change.options, now.options),
});

const without = <T extends object>(wanted: T, has: object): T => {
  const known = new Map(Object.entries(has));
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => known.get(key) !== value),
  ) as T;
};
