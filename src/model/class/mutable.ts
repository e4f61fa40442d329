import { z } from 'zod';
import { invalid } from '../fault.ts';
import { definitions } from './parameter-keys.ts';
import {
  decodeKeys,
  isScheduled,
  refuseMoreDataThanMetadata,
  requireKnown,
  said,
  type FileAttributes,
  type VolumeOptions,
} from './parameters.ts';

/** What can be changed of a volume that exists: attributes of its file, and options of its record. */
export interface VolumeChange {
  readonly attributes: FileAttributes;
  readonly options: Pick<VolumeOptions, 'maxCloneDepth' | 'discard' | 'trim' | 'freeze'>;
}

const mutable = [
  'pool',
  'dataReplicas',
  'metadataReplicas',
  'maxCloneDepth',
  'discard',
  'trim',
  'freeze',
] as const;

const field = 'mutable_parameters';

const schema = z.object({
  pool: definitions.pool.schema.optional(),
  dataReplicas: definitions.dataReplicas.schema.optional(),
  metadataReplicas: definitions.metadataReplicas.schema.optional(),
  maxCloneDepth: definitions.maxCloneDepth.schema.optional(),
  discard: definitions.discard.schema.optional(),
  trim: definitions.trim.schema.optional(),
  freeze: definitions.freeze.schema.optional(),
} satisfies Record<(typeof mutable)[number], z.ZodType>);

/** Decodes what a VolumeAttributesClass says. Throws invalid-request for a key that cannot be changed. */
export function volumeChange(parameters: ReadonlyMap<string, string>): VolumeChange {
  for (const key of parameters.keys()) requireKnown(field, key, mutable);
  const { pool, dataReplicas, metadataReplicas, ...options } = decodeKeys(
    field,
    schema,
    parameters,
  );
  return {
    attributes: said({ pool, dataReplicas, metadataReplicas }),
    options: said(options),
  };
}

/** What a volume has now, as far as a change concerns it. */
interface Changeable {
  readonly attributes: FileAttributes;
  readonly options: VolumeOptions;
}

/** Throws invalid-request where a change contradicts what the volume keeps. */
export function requireFitting(now: Changeable, change: VolumeChange): void {
  refuseMoreDataThanMetadata({ ...now.attributes, ...change.attributes }, field);
  const { discard } = change.options;
  refuseTrim({ ...now.options, ...change.options });
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

/** The part of a change that the volume does not have yet. */
export function whatIsLeft(now: Changeable, change: VolumeChange): VolumeChange {
  return {
    attributes: without(change.attributes, now.attributes),
    options: without(change.options, now.options),
  };
}

const without = <T extends object>(wanted: T, has: object): T => {
  const known = new Map(Object.entries(has));
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => known.get(key) !== value),
  ) as T;
};
