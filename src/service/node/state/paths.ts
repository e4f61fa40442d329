import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path';
import { DriverError, invalid } from '../../../model/fault.ts';
import { errnoOf, type FileStat, type Files } from '../../../run/files.ts';

const pathMax = 4095;

/**
 * A path of the kubelet as mountinfo shows it. Refuses one that leads through a symbolic link below
 * `trusted`: a user who can write there could redirect the driver's mount or removal to any place of the host.
 */
export async function resolvePath(field: string, path: string, trusted: string): Promise<string> {
  requirePlain(field, path);
  const parent = dirname(path);
  const base = parent === trusted || parent.startsWith(`${trusted}/`) ? trusted : '/';
  const real = await realOf(field, parent);
  if (real !== join(await realOf(field, base), relative(base, parent)))
    throw invalid(field, 'leads through a symbolic link');
  return join(real, basename(path));
}

/** What is at a path; undefined when nothing is. Throws invalid-request for a symbolic link. */
export async function lookAt(
  files: Files,
  field: string,
  path: string,
): Promise<FileStat | undefined> {
  const stat = await statIfThere(files, path);
  if (stat?.kind === 'symlink') throw invalid(field, 'is a symbolic link');
  return stat;
}

/** lstat, or undefined when nothing is there. */
async function statIfThere(files: Files, path: string): Promise<FileStat | undefined> {
  try {
    return await files.stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function requirePlain(field: string, path: string): void {
  if (!isAbsolute(path) || normalize(path) !== path || path === '/' || path.includes('\0'))
    throw invalid(field, 'must be an absolute path without . and .. and doubled slashes');
  if (Buffer.byteLength(path) > pathMax)
    throw invalid(field, `is longer than the ${pathMax} bytes the kernel takes`);
}

async function realOf(field: string, path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error;
    throw new DriverError(
      'wrong-state',
      `${field}: directory ${JSON.stringify(path)} is not there; the caller makes it first`,
      error,
    );
  }
}
