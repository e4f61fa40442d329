/** What can go wrong, as a caller of the driver would name it. */
export type Fault =
  /** The request itself is wrong; `field` is the CSI field, dotted where it is nested. */
  | { readonly kind: 'invalid-request'; readonly field: string }
  | { readonly kind: 'volume-missing' }
  | { readonly kind: 'snapshot-missing' }
  | { readonly kind: 'group-missing' }
  | { readonly kind: 'node-missing' }
  /** Nothing of this volume at this path on this node. */
  | { readonly kind: 'path-missing' }
  /** The name belongs to an object that was asked for differently. */
  | { readonly kind: 'name-taken' }
  /** Attached, staged or published already, but with another capability. */
  | { readonly kind: 'used-differently' }
  /** In use in a way that forbids this. */
  | { readonly kind: 'in-use' }
  /** Allowed in principle, but not in the state the object or the node is in. */
  | { readonly kind: 'wrong-state' }
  /** The driver cannot work with this host, file system or configuration. */
  | { readonly kind: 'misconfigured' }
  /** Another operation on the same object is under way. `raced`: the same request may succeed at once. */
  | { readonly kind: 'busy'; readonly raced?: true }
  | { readonly kind: 'bad-token' }
  | { readonly kind: 'size-out-of-range' }
  /** No space, quota or inodes. */
  | { readonly kind: 'no-space' }
  /** A limit of the driver or of a node. */
  | { readonly kind: 'limit-reached' }
  /** A volume would lie where none of the nodes asked for can use it. */
  | { readonly kind: 'out-of-reach' }
  /** Daemon down, not mounted, stale handle, hang past the limit. */
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'permission-denied' }
  /** A command printed something we do not understand. */
  | { readonly kind: 'unreadable-output' }
  /** A record is damaged, or of a format this version does not know. */
  | { readonly kind: 'unreadable-record' }
  /** A host or mm command failed in a way that has no better name. */
  | { readonly kind: 'command-failed' };

/** A failure that is reported to a caller: what failed, on what, and what to do, in one sentence. */
export class DriverError extends Error {
  override readonly name = 'DriverError';
  readonly fault: Fault;

  constructor(
    fault: Fault | Exclude<Fault['kind'], 'invalid-request'>,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.fault = typeof fault === 'string' ? { kind: fault } : fault;
  }
}

/** The request names something impossible: `field` as CSI spells it, and what is wrong with it. */
export const invalid = (field: string, problem: string): DriverError =>
  new DriverError({ kind: 'invalid-request', field }, `${field} ${problem}`);

/** Another writer was faster. The server sends such a request through again by itself, within its limit. */
export const raced = (message: string, cause?: unknown): DriverError =>
  new DriverError({ kind: 'busy', raced: true }, message, cause);

/** True when the same request may succeed at once. */
export const isRaced = (error: unknown): boolean =>
  error instanceof DriverError && error.fault.kind === 'busy' && error.fault.raced === true;

/** True when `error` is a DriverError of one of these kinds. */
export const isFault = (error: unknown, ...kinds: Fault['kind'][]): error is DriverError =>
  error instanceof DriverError && kinds.includes(error.fault.kind);

/** The message of an error, whatever was thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
