import { DriverError } from '../../../model/fault.ts';
import { errnoOf } from '../../../run/files.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';

// Options that the kernel shows of a file system that it ended after an error. For XFS it shows none.
const ended = ['shutdown', 'emergency_ro'];

/** What the kernel did to a mounted file system after an error of its device, in words; undefined when it works. */
export async function whyEnded(
  host: Pick<NodeHost, 'mounter' | 'files'>,
  { kind, stagingPath }: NodeRecord,
): Promise<string | undefined> {
  const top = (await host.mounter.at(stagingPath)).at(-1);
  if (!top || kind === 'block') return undefined;
  if (top.superOptions.some((option) => ended.includes(option)))
    return 'was shut down by the kernel';
  // A writable mount of a read-only file system: only the kernel makes that.
  if (top.options.includes('rw') && top.superOptions.includes('ro'))
    return 'was made read-only by the kernel';
  try {
    await host.files.stat(stagingPath);
    return undefined;
  } catch (error) {
    if (errnoOf(error) === 'EIO') return 'answers with input/output errors';
    throw error;
  }
}

/** The error for a call that needs the file system. */
export const endedFault = (
  { volumeId, fsType, stagingPath }: NodeRecord,
  why: string,
): DriverError =>
  new DriverError(
    'wrong-state',
    `the ${fsType} of volume ${volumeId} at ${JSON.stringify(stagingPath)} ${why} after an error; delete the pods that use it on this node, so that it is mounted again`,
  );
