import type { Clock } from '../../run/clock.ts';

/** The last version of a record: it says when the object went, so that nobody who slept brings it back. */
export const asDeleted = <T extends object>({ clock }: { readonly clock: Clock }, record: T) => ({
  ...record,
  state: 'deleted' as const,
  deletedMs: clock.now(),
  claim: null,
});
