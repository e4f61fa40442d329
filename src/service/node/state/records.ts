import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { AccessMode } from '../../../model/capability.ts';
import { DriverError, messageOf } from '../../../model/fault.ts';
import type { FileKey } from '../../../model/ids.ts';
import { undefinedWhenMissing, type Files } from '../../../run/files.ts';
import { ownFiles } from './own-files.ts';

const bigint = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const mode = z.string().transform((text) => text as AccessMode);
const key = z.string().transform((text) => text as FileKey);

const identity = z.object({ device: bigint, inode: bigint });
const loop = z.object({
  path: z.string().regex(/^\/dev\/loop\d{1,7}$/),
  diskseq: z.string(),
  /** The name of the file as /sys showed it; '' in records of an older version. */
  file: z.string().max(8192).default(''),
  readonly: z.boolean(),
  backing: identity,
});

const target = z.object({
  /** The path as the caller wrote it, and as the kernel shows it. */
  asked: z.string(),
  path: z.string(),
  readonly: z.boolean(),
  capability: z.string(),
  mode,
  /** Its own device, for a read-only publication of a writable raw block volume. */
  loop: loop.nullable(),
});
export type Target = z.output<typeof target>;

const nodeRecord = z.object({
  format: z.literal(1),
  volumeId: z.string(),
  /** Loop devices and mounts named here existed in this boot only. */
  bootId: z.string(),
  /** The path as the kernel shows it, and as the caller wrote it. */
  stagingPath: z.string(),
  stagingAsked: z.string(),
  /** The key of the image file that is in use; each image is one generation of the volume. */
  generation: key,
  imagePath: z.string(),
  image: identity,
  readonly: z.boolean(),
  kind: z.enum(['block', 'mount']),
  capability: z.string(),
  fsType: z.string(),
  loop: loop.nullable(),
  /**
   * Set before a device is attached, until the record names it: the devices of the image that were there before.
   * A crash in between leaves a device that is neither named nor one of these: the driver attached it.
   */
  attaching: z.array(z.string()).optional(),
  /** False while a stage or unstage runs or after it was interrupted. */
  staged: z.boolean(),
  targets: z.array(target),
});
export type NodeRecord = z.output<typeof nodeRecord>;

/** What this node remembers of its volumes. A loop device or mount is the driver's only when a record names it. */
export interface NodeRecords {
  read(id: string): Promise<NodeRecord | undefined>;
  /** Durable when it resolves. */
  write(record: NodeRecord): Promise<void>;
  remove(id: string): Promise<void>;
  /** Where the record of a volume lies, whether there is one or not. */
  pathOf(id: string): string;
  /** The record as it was written, perhaps in an earlier boot. */
  asWritten(id: string): Promise<NodeRecord | undefined>;
  /** All records as they were written, and sentences about those that cannot be read. */
  all(): Promise<{
    readonly records: readonly NodeRecord[];
    readonly problems: readonly string[];
  }>;
}

export interface NodeRecordsOptions {
  readonly files: Files;
  readonly directory: string;
  readonly bootId: string;
}

/** The records in `DIRECTORY/volumes`, one small JSON file for each volume. */
export function nodeRecords({ files, directory, bootId }: NodeRecordsOptions): NodeRecords {
  const own = ownFiles(files);
  const volumes = join(directory, 'volumes');
  const pathOf = (id: string) => join(volumes, fileName(id));

  const load = async (path: string): Promise<NodeRecord | undefined> => {
    const text = await files.read(path).catch(undefinedWhenMissing);
    return text === undefined ? undefined : parse(text, path);
  };

  return {
    read: async (id) => {
      const record = await load(pathOf(id));
      return record && ofThisBoot(record, bootId);
    },
    pathOf,
    asWritten: (id) => load(pathOf(id)),
    write: (record) => own.replaceAlways(pathOf(record.volumeId), toText(record)),
    remove: (id) => own.remove(pathOf(id)),
    all: () => readAll(files, volumes, load),
  };
}

// A boot ends all loop devices and mounts; their numbers may name others afterwards.
const ofThisBoot = (record: NodeRecord, bootId: string): NodeRecord =>
  record.bootId === bootId
    ? record
    : { ...record, bootId, loop: null, attaching: undefined, staged: false, targets: [] };

function fileName(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id)) return `${id}.json`;
  return `h-${createHash('sha256').update(id, 'utf8').digest('hex')}.json`;
}

async function readAll(
  files: Files,
  volumes: string,
  load: (path: string) => Promise<NodeRecord | undefined>,
): ReturnType<NodeRecords['all']> {
  const names = (await files.list(volumes).catch(undefinedWhenMissing)) ?? [];
  const paths = names.filter((name) => name.endsWith('.json')).map((name) => join(volumes, name));
  const read = await Promise.allSettled(paths.map(load));
  return {
    records: read.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : [])),
    problems: read.flatMap((each) => (each.status === 'rejected' ? messageOf(each.reason) : [])),
  };
}

/** Gives devices in records of an older version the name of their file. */
function withFiles(record: NodeRecord): NodeRecord {
  const named = <T extends Target['loop']>(loop: T): T =>
    loop?.file === '' ? { ...loop, file: record.imagePath } : loop;
  const targets = record.targets.map((each) => ({ ...each, loop: named(each.loop) }));
  return { ...record, loop: named(record.loop), targets };
}

const toText = (record: NodeRecord): string =>
  `${JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 1)}\n`;

function parse(text: string, path: string): NodeRecord {
  try {
    return withFiles(nodeRecord.parse(JSON.parse(text)));
  } catch (error) {
    throw new DriverError(
      'unreadable-record',
      `record ${path} of this node cannot be read; it was left as it is, restore or remove it`,
      error,
    );
  }
}
