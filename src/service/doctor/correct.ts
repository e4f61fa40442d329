import { DriverError } from '../../model/fault.ts';
import type { FileKey } from '../../model/ids.ts';
import type { Repair } from '../../model/audit/repair-words.ts';
import type { Bytes } from '../../model/bytes.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { RootStore } from '../../store/root.ts';

type Correction = Extract<Repair, { do: 'correct parent' | 'correct size' }>;

/** Writes the clone parent into a record that GPFS names. */
export function correctParent(
  store: RootStore,
  correction: Extract<Repair, { do: 'correct parent' }>,
): Promise<unknown> {
  const parent = correction.parent as FileKey | null;
  // It is not known how deep the object is, nor what was written to a volume since this parent was cut.
  return change(store, correction, { parent, depth: undefined }, { unchanged: false });
}

/** Writes the size that the file has into a record. */
export const correctSize = (
  store: RootStore,
  correction: Extract<Repair, { do: 'correct size' }>,
): Promise<unknown> => change(store, correction, { bytes: correction.bytes });

interface Correct {
  readonly parent?: FileKey | null;
  readonly depth?: undefined;
  readonly bytes?: Bytes;
}

async function change(
  store: RootStore,
  correction: Correction,
  correct: Correct,
  ofVolume: { readonly unchanged?: boolean } = {},
): Promise<unknown> {
  const { id } = correction;
  switch (correction.kind) {
    case 'volume':
      return store.volumes.update(
        id,
        (now) => {
          requireSame(correction, now.image?.key, now.claim);
          return { ...now, ...correct, ...ofVolume };
        },
        'name',
      );
    case 'snapshot':
      return store.snapshots.update(
        id,
        (now) => {
          requireSame(correction, now.file?.key, now.claim);
          return { ...now, ...correct };
        },
        'name',
      );
    case 'hidden':
      return store.hidden.update(
        id,
        (now) => {
          requireSame(correction, now.id, now.claim);
          return { ...now, ...correct };
        },
        'name',
      );
  }
}

function requireSame(
  { id, key }: Correction,
  now: string | undefined,
  claim: Claim | null | undefined,
): void {
  if (now === key && !claim) return;
  throw new DriverError('busy', `${id} changed at this moment; run the repair again`);
}
