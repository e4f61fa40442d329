import { canonicalCapability } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { ownParameters } from '../../model/class/parameters.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** Throws name-taken unless a request for an existing name asks for what is there. */
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
