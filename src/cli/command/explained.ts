import { DriverError } from '../../model/fault.ts';
import { isNotThere } from '../../run/named/named.ts';

interface SystemError extends Error {
  readonly code?: string;
  readonly syscall: string;
  readonly path?: string;
}

const noRight = 'cannot be used by this user; run the command as root, on the host or in the pod';
const gone = 'cannot be reached: was GPFS unmounted? mmgetstate and mmlsmount say, then try again';

/** What failed system calls mean, and what to do. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: isNotThere,
  ENOTDIR: isNotThere,
  EACCES: noRight,
  EPERM: noRight,
  EROFS: 'lies on a file system that is mounted read-only; mount it for writing, then try again',
  ENOSPC: 'cannot be written: no space is left; free some, or add disks',
  EDQUOT: 'cannot be written: the quota is used up; free some space, or raise it with mmsetquota',
  ESTALE: gone,
  EIO: gone,
};

/** What the user reads of an error that ended a command; of an error of ours that nobody expected, the stack. */
export function explained(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof DriverError) return `gpfs-csi: ${error.message}`;
  return isSystemError(error) ? `gpfs-csi: ${inWords(error)}` : (error.stack ?? error.message);
}

const isSystemError = (error: Error): error is SystemError => 'syscall' in error;

function inWords({ code = '', path, syscall, message }: SystemError): string {
  const reason = reasons[code];
  return path === undefined || reason === undefined
    ? message
    : `${path} ${reason} (${code} at ${syscall})`;
}
