/** What replaces a secret in a log line. */
export const REDACTED = '[redacted]';

// CSI marks the `secrets` maps as secret and forbids logging mount flags, which may contain a password.
const secretKeys = new Set(['secrets', 'mount_flags', 'mountflags']);

const MAX_DEPTH = 8;

/** A copy that may be logged: secrets replaced at any depth, sizes as decimal strings, errors as text. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  return redactObject(value, depth + 1);
}

function redactObject(value: object, depth: number): unknown {
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return value;
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth));
  const entries: Iterable<[unknown, unknown]> =
    value instanceof Map ? value.entries() : Object.entries(value);
  return Object.fromEntries(
    Array.from(entries, ([key, item]) => [
      key,
      secretKeys.has(String(key).toLowerCase()) ? REDACTED : redact(item, depth),
    ]),
  );
}

/** An error and its causes. Only properties that are known to be harmless: arguments may contain mount flags. */
function describeError(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth) }),
  };
}
