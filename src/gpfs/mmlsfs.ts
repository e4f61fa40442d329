import type { Bytes } from '../model/bytes.ts';
import type { Run, RunOptions } from '../run/run.ts';
import { unreadable } from './failures.ts';
import { parseRelease, type Release } from './release.ts';
import { parseTable, present } from './table.ts';

/** How many copies GPFS keeps by default, and how many it could. */
export interface ReplicaCounts {
  readonly usual: number;
  readonly most: number;
}

/** What the driver needs to know of a file system. */
export interface FileSystem {
  /** As GPFS calls it, however it was asked for. */
  readonly name: string;
  readonly version: Release;
  /** The unit of copy on write. Where pools differ the largest: it bounds what a copy costs. */
  readonly blockSize: Bytes;
  readonly storagePools: readonly string[];
  /** Any of `user`, `group`, `fileset`. */
  readonly quotasEnforced: readonly string[];
  /** Copies of data and metadata: what a file gets, and what it may have at most. */
  readonly dataReplicas: ReplicaCounts;
  readonly metadataReplicas: ReplicaCounts;
  readonly encrypts: boolean;
}

const TIME_LIMIT_MS = 10_000;
const COLUMNS = ['deviceName', 'fieldName', 'data'];

/** `mmlsfs DEVICE -Y`: all attributes of one file system, by device name with or without `/dev/`. */
export const mmlsfs =
  (run: Run) =>
  async (device: string, options?: RunOptions): Promise<FileSystem> =>
    parseFileSystem(
      await run(['mmlsfs', device, '-Y'], 'read', { timeoutMs: TIME_LIMIT_MS, ...options }),
    );

/** The attributes of one file system. */
export function parseFileSystem(output: string): FileSystem {
  const rows = parseTable('mmlsfs', output, COLUMNS);
  const values = (field: string): readonly string[] =>
    rows
      .filter((row) => row.get('fieldname')?.toLowerCase() === field)
      .flatMap((row) => present(row.get('data')) ?? []);
  return {
    name: (rows[0]?.get('devicename') ?? '').replace(/^\/dev\//, ''),
    version: formatVersion(values('filesystemversion')[0] ?? ''),
    blockSize: largest(values('blocksize')),
    storagePools: list(values('storagepools')),
    quotasEnforced: list(values('quotasenforced')).filter((kind) => kind !== 'none'),
    dataReplicas: copies(values('defaultdatareplicas'), values('maxdatareplicas')),
    metadataReplicas: copies(values('defaultmetadatareplicas'), values('maxmetadatareplicas')),
    // Releases before 4.1 do not report it, and cannot encrypt.
    encrypts: values('encryption')[0]?.toLowerCase() === 'yes',
  };
}

// `22.00 (5.0.4.0)`: the format, and the release that brought it.
function formatVersion(text: string): Release {
  const found = /^(\d{1,4}\.\d{1,4})(?:\s|$)/.exec(text);
  const release = parseRelease(found?.[1] ?? '');
  if (release === undefined) throw unreadable('mmlsfs', `filesystemVersion ${text}`);
  return { ...release, kind: 'format' };
}

// One copy and three are what every file system has and can have, where the output says nothing.
const copies = (
  [usual = '1']: readonly string[],
  [most = '3']: readonly string[],
): ReplicaCounts => {
  if (![usual, most].every((text) => /^[123]$/.test(text)))
    throw unreadable('mmlsfs', `replicas ${usual} of at most ${most}`);
  return { usual: Number(usual), most: Number(most) };
};

function largest(values: readonly string[]): Bytes {
  const line = values.join(' ');
  if (values.length === 0 || !values.every((value) => /^\d{1,12}$/.test(value))) {
    throw unreadable('mmlsfs', `blockSize ${line}`);
  }
  return values.map(BigInt).reduce((most, value) => (value > most ? value : most));
}

const list = (values: readonly string[]): readonly string[] =>
  values.flatMap((value) => value.split(';')).filter((item) => item !== '');
