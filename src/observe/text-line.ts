import { plainName } from '../model/forest/words.ts';

/** Facts that have a place of their own in a line; `request` is for programs only. */
const placed: ReadonlySet<string> = new Set(
  `time level message kubernetes volumeId volume snapshot rpc ms code error requestId request`.split(
    ' ',
  ),
);

/** Characters of a request's id that are shown: enough to find its lines. */
const shownId = 8;

/**
 * A line of the log for a person: time, level, the name of the object, what was done, how long that took, how it ended;
 * then other facts, and the id that all lines of one request share.
 */
export function textLine(line: Readonly<Record<string, unknown>>): string {
  const { time, level, rpc, ms, code, error, requestId } = line;
  const parts = [
    text(time),
    text(level).toUpperCase().padEnd(5),
    nameIn(line),
    whatIn(line),
    ms === undefined ? '' : `${text(ms)} ms`,
    // Of a line that a request caused, and that is not its own.
    code === undefined && rpc !== undefined ? `(${text(rpc)})` : text(code),
    error === undefined ? '' : `: ${errorIn(error)}`,
    Object.entries(line)
      .flatMap(([key, value]) => (placed.has(key) ? [] : [`${key}=${text(value)}`]))
      .join(' '),
    requestId === undefined ? '' : `[${text(requestId).slice(0, shownId)}]`,
  ];
  return plainName(parts.filter((part) => part !== '').join(' ')).replace(' : ', ': ');
}

/** The object that a line is about, as Kubernetes calls it where that is known; a dash where it is about none. */
const nameIn = ({ kubernetes, volumeId, volume, snapshot }: Readonly<Record<string, unknown>>) =>
  text(kubernetes ?? volumeId ?? volume ?? snapshot ?? '-');

/** The RPC where the line is that of a request, and its message elsewhere. */
const whatIn = ({ rpc, code, message }: Readonly<Record<string, unknown>>): string =>
  rpc === undefined || code === undefined
    ? text(message)
    : text(message).replace(/^request/, text(rpc));

const errorIn = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'message' in error
    ? text(error.message)
    : text(error);

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : JSON.stringify(value);
}
