import { MiB, type Bytes } from '../../model/bytes.ts';
import { canonicalCapability, requireFsType, requireSupported } from '../../model/capability.ts';
import { volumeChange } from '../../model/class/mutable.ts';
import {
  classParameters,
  ownParameters,
  type ClassParameters,
} from '../../model/class/parameters.ts';
import { DriverError } from '../../model/fault.ts';
import { minimumBytes, sizeOfNew } from '../../model/sizing.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** A request for a volume, with its class decoded. */
export interface VolumeRequest {
  readonly spec: VolumeSpec;
  readonly parameters: ClassParameters;
}

/** Decodes a request for a volume. Throws invalid-request or size-out-of-range where no volume could be like that. */
export function decodeRequest(spec: VolumeSpec): VolumeRequest {
  requireSupported(spec.capabilities, 'volume_capabilities');
  // Only for what it refuses: its values are among `parameters` as well.
  volumeChange(spec.mutable);
  const parameters = classParameters(spec.parameters);
  requireFsType(spec.capabilities, parameters.options.fsType);
  const request = { spec, parameters };
  // The size of a source is not known yet.
  if (!spec.source) sizeFor(request, undefined);
  return request;
}

/** The sizes of a source: as callers know it, and as its file has it. No child is smaller than either. */
export interface SourceSize {
  readonly bytes: Bytes;
  readonly fileBytes: Bytes;
}

/** The size of the volume. A file system that it gets from its source is not made, so it may be smaller than a new one. */
export function sizeFor(
  { spec, parameters }: VolumeRequest,
  source: SourceSize | undefined,
  inherited?: object,
): Bytes {
  const made = inherited ? MiB : minimumBytes(spec.capabilities, parameters.options.fsType);
  const { bytes, fileBytes = 0n } = source ?? {};
  return sizeOfNew(spec.range, fileBytes > made ? fileBytes : made, bytes);
}

/** What the record of a volume keeps of its request, to compare a later one with. */
export const askedOf = (spec: VolumeSpec): VolumeRecord['asked'] => ({
  requiredBytes: spec.range?.requiredBytes ?? 0n,
  limitBytes: spec.range?.limitBytes ?? 0n,
  capabilities: spec.capabilities.map(canonicalCapability).sort(),
  parameters: Object.fromEntries(ownParameters(spec.parameters)),
  source: spec.source ? { ...spec.source } : null,
});

/** Throws name-taken unless the request for an existing name asks for the volume that exists. */
export function requireSame(record: VolumeRecord, spec: VolumeSpec): void {
  const differs = differences(record, spec).find(([, same]) => !same);
  if (!differs) return;
  throw new DriverError(
    'name-taken',
    `volume ${JSON.stringify(spec.name)} exists already with another ${differs[0]}; use another name`,
  );
}

const differences = (
  { asked, bytes }: VolumeRecord,
  spec: VolumeSpec,
): readonly (readonly [string, boolean])[] => [
  ['size', fits(bytes, spec)],
  ['content source', sameSource(asked.source, spec)],
  [
    'set of capabilities',
    sameTexts(asked.capabilities, spec.capabilities.map(canonicalCapability).sort()),
  ],
  ['set of parameters', sameParameters(asked.parameters, spec)],
];

const fits = (bytes: bigint, { range }: VolumeSpec): boolean =>
  !range ||
  (bytes >= range.requiredBytes && (range.limitBytes === 0n || bytes <= range.limitBytes));

const sameSource = (
  a: { readonly kind: string; readonly id: string } | null,
  { source: b }: VolumeSpec,
): boolean => a?.kind === b?.kind && a?.id === b?.id;

const sameParameters = (asked: Readonly<Record<string, string>>, spec: VolumeSpec): boolean =>
  sameTexts(
    Object.entries(asked).map((entry) => JSON.stringify(entry)),
    [...ownParameters(spec.parameters)].map((entry) => JSON.stringify(entry)),
  );

const sameTexts = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index]);
