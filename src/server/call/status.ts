import { status } from '@grpc/grpc-js';
import { DriverError, type Fault } from '../../model/fault.ts';

/** The only table of errors: each kind of fault, and the gRPC code that the caller gets for it. */
const codes = {
  'invalid-request': status.INVALID_ARGUMENT,
  'volume-missing': status.NOT_FOUND,
  'snapshot-missing': status.NOT_FOUND,
  'group-missing': status.NOT_FOUND,
  'node-missing': status.NOT_FOUND,
  'path-missing': status.NOT_FOUND,
  'name-taken': status.ALREADY_EXISTS,
  'used-differently': status.ALREADY_EXISTS,
  'in-use': status.FAILED_PRECONDITION,
  'wrong-state': status.FAILED_PRECONDITION,
  misconfigured: status.FAILED_PRECONDITION,
  busy: status.ABORTED,
  'bad-token': status.ABORTED,
  'size-out-of-range': status.OUT_OF_RANGE,
  'no-space': status.RESOURCE_EXHAUSTED,
  'limit-reached': status.RESOURCE_EXHAUSTED,
  // CSI's code for a topology that cannot be provided; Kubernetes then chooses another node.
  'out-of-reach': status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  'permission-denied': status.PERMISSION_DENIED,
  'unreadable-output': status.INTERNAL,
  'unreadable-record': status.INTERNAL,
  'command-failed': status.INTERNAL,
} as const satisfies Record<Fault['kind'], status>;

/** What a caller gets when a call fails. CSI allows only the code and one message. */
export interface Answer {
  readonly code: status;
  readonly details: string;
}

// Messages travel in HTTP/2 trailers, percent-encoded: up to nine bytes for one character, of 64 KiB in all.
const longestMessage = 4000;

/** The answer for whatever a handler throws. */
export function answerFor(error: unknown): Answer {
  if (!(error instanceof DriverError)) return { code: status.INTERNAL, details: 'internal error' };
  const text = error.message.trim() === '' ? error.fault.kind : error.message;
  // Half of a surrogate pair would make grpc-js throw while it sends the status.
  return { code: codes[error.fault.kind], details: text.slice(0, longestMessage).toWellFormed() };
}

/** The name of a code, for logs and metrics. */
export const codeName = (code: status): string => status[code];
