import type { z } from 'zod';
import { DriverError, invalid } from '../../model/fault.ts';

/** Reads the request in a message. Throws invalid-request with the field as CSI spells it. */
export function decode<Request>(schema: z.ZodType<Request>, message: unknown): Request {
  const result = schema.safeParse(message);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (!issue)
    throw new DriverError({ kind: 'invalid-request', field: '' }, 'the request is malformed');
  throw invalid(fieldName(issue.path), issue.message);
}

function fieldName(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`));
  return parts.join('').replace(/^\./, '');
}
