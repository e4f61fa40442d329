import { errnoError, errnoOf } from '../../run/files.ts';

// glibc's texts under LC_ALL=C; the commands print nothing else after their own name.
const texts: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EDQUOT: 'Disk quota exceeded',
  EEXIST: 'File exists',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ENAMETOOLONG: 'File name too long',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  ENOTEMPTY: 'Directory not empty',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  ESTALE: 'Stale file handle',
  EXDEV: 'Invalid cross-device link',
};

/** What strerror(3) says of an errno name. */
export const strerror = (code: string): string => texts[code] ?? `Unknown error ${code}`;

/** The errno name of an error of the state machine. Any other error is a defect and is thrown again. */
export function errnoNameOf(error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined || !code.startsWith('E') || code.startsWith('ERR_')) throw error;
  return code;
}

/**
 * Throws an errno exception, as a system call would: without the lines of a stack, which would show the simulator only.
 * Collecting them takes a tenth of the time of a story in memory.
 */
export function fail(code: string, call: string, path: string): never {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    throw errnoError(code, call, path);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
