import { open, readdir, readFile } from 'node:fs/promises';
import { ownerOfKey, type FileKey } from '../../src/model/ids.ts';
import { errnoOf } from '../../src/run/files.ts';
import { highestVersions, layoutOf } from '../../src/store/layout.ts';
import { blockBytes, firstByte, readBlock, slots, strideBytes } from './pattern.ts';
import { allSlots, wrongBlock, type Content } from './model.ts';
import { Broken, type Kind, type World } from './world.ts';

/** What is looked at, and what must be there. */
export interface Wanted {
  readonly name: string;
  readonly kind: Kind;
  readonly content: Content;
  /** The size; undefined where the path is no image. */
  readonly bytes?: bigint;
}

/** The file of a volume or snapshot, as its record on disk says. */
export async function fileOf(
  root: string,
  what: 'volumes' | 'snapshots',
  id: string,
): Promise<string> {
  const local = id.slice(id.indexOf('.') + 1);
  const layout = layoutOf(root);
  const record = await recordIn(layout.recordShard(what, local), local);
  const key = (record.image ?? record.file)?.key as FileKey | undefined;
  if (key === undefined || ownerOfKey(key) === '')
    throw new Broken(`the record of ${id} names no file`);
  return layout.data(what, key);
}

interface NamesFile {
  readonly image?: { readonly key: string } | null;
  readonly file?: { readonly key: string } | null;
}

/** The newest version of a record; a server may replace it between the two looks. */
async function recordIn(shard: string, id: string): Promise<NamesFile> {
  const version = highestVersions(await readdir(shard)).get(id) ?? 0;
  const text = await readFile(`${shard}/${id}.${version}`, 'utf8').catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const now = highestVersions(await readdir(shard)).get(id) ?? 0;
    if (now === version) throw error;
    return undefined;
  });
  return text === undefined ? recordIn(shard, id) : (JSON.parse(text) as NamesFile);
}

/** Where a slot lies: in a raw device far apart, in a file of a file system one after the other. */
export const offsetOf = (kind: Kind, slot: number): number =>
  slot * (kind === 'raw' ? strideBytes : blockBytes);

/** Reads a raw device or its image, or the file that a pod writes to, and compares all of it. */
export async function verify(world: World, path: string, wanted: Wanted): Promise<void> {
  const text = await wholeOf(path, wanted);
  world.journal.count('bytes verified', wanted.kind, text.length);
  world.journal.note('verified', { about: wanted.name, path, bytes: text.length });
  const wrong = [...wrongSize(text, wanted), ...wrongSlots(world, text, wanted)];
  if (wrong.length > 0) throw new Broken(`${wanted.name} (${path}): ${wrong.join('; ')}`);
}

async function wholeOf(path: string, { kind }: Wanted): Promise<Buffer> {
  const most = kind === 'raw' ? undefined : slots * blockBytes;
  const handle = await open(path).catch((error: unknown) => {
    // A pod that never wrote has no file yet.
    if (most !== undefined && errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (!handle) return Buffer.alloc(slots * blockBytes);
  try {
    const text = await handle.readFile();
    return most === undefined ? text : Buffer.concat([text], most);
  } finally {
    await handle.close();
  }
}

const wrongSize = (text: Buffer, { bytes }: Wanted): readonly string[] =>
  bytes === undefined || BigInt(text.length) === bytes
    ? []
    : [`it has ${text.length} bytes instead of ${bytes}`];

function wrongSlots(world: World, text: Buffer, { kind, content }: Wanted): readonly string[] {
  const step = offsetOf(kind, 1);
  const slotsWrong = allSlots.flatMap((slot) => {
    const at = slot * step;
    const seen = readBlock(text.subarray(at, at + blockBytes));
    const wrong = [wrongBlock(world.writes, content, slot, seen)];
    const stray = kind === 'raw' ? firstByte(text, at + blockBytes, at + step) : -1;
    if (stray >= 0) wrong.push(`a byte at ${stray}, where nothing was written`);
    return wrong.filter((sentence) => sentence !== undefined);
  });
  const behind = kind === 'raw' ? firstByte(text, slots * step, text.length) : -1;
  return behind < 0 ? slotsWrong : [...slotsWrong, `a byte at ${behind}, behind all writes`];
}
