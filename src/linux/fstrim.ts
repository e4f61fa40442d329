import type { Bytes } from '../model/bytes.ts';
import { explainFailure, type Run } from '../run/run.ts';

/** Trims a mounted file system, or a part of it: its free blocks return to the device. */
export const fstrim =
  (run: Run) =>
  async (path: string, part?: { readonly from: Bytes; readonly length: Bytes }): Promise<void> => {
    const range = part ? ['-o', String(part.from), '-l', String(part.length)] : [];
    await explainFailure(
      `the free blocks of the file system at ${path} could not be given back`,
      run(['fstrim', ...range, path], 'write'),
    );
  };
