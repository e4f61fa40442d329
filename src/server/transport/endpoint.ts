import { posix } from 'node:path';
import { DriverError } from '../../model/fault.ts';

// sun_path of Linux holds 108 bytes with its NUL. Node truncates a longer path and reports success.
const longestSocketPath = 107;

/** The path of the socket that CSI_ENDPOINT names. Throws misconfigured with what is wrong. */
export function socketPath(endpoint: string): string {
  const path = /^unix:(?:\/\/)?(\/(?!\/).*)$/s.exec(endpoint)?.[1];
  if (path === undefined)
    throw wrong(endpoint, 'must look like unix:///folder/name.sock, with an absolute path');
  return checkedPath(path);
}

/** The same path, if a socket can be made there. Throws misconfigured with what is wrong. */
export function checkedPath(path: string): string {
  const problem = whyUnusable(path);
  if (problem !== undefined) throw wrong(path, problem);
  return path;
}

function whyUnusable(path: string): string | undefined {
  const length = Buffer.byteLength(path);
  if (!path.startsWith('/')) return 'must be an absolute path';
  if (!path.endsWith('.sock')) return 'must end in .sock';
  // eslint-disable-next-line no-control-regex -- a socket name must not have one
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'must not hold control characters';
  if (posix.normalize(path) !== path) return 'must not hold "//", "." or ".." components';
  if (length > longestSocketPath)
    return `must be at most ${longestSocketPath} bytes, and is ${length}; choose a shorter folder`;
  return undefined;
}

const wrong = (what: string, problem: string): DriverError =>
  new DriverError('misconfigured', `socket ${JSON.stringify(what)} ${problem}`);
