/** What is written and read in one piece. */
export const blockBytes = 4096;

/** How many places of a volume are written to. */
export const slots = 32;

/** How far these places lie apart in a raw volume: they cover its first 8 MiB. */
export const strideBytes = 256 * 1024;

/** What a block says of itself. */
export interface Mark {
  /** The number of the volume that was written to. Its clones read it too. */
  readonly object: number;
  /** Each write of a run has a number of its own; 0 is none. */
  readonly write: number;
  readonly slot: number;
}

const magic = 0x47435348;
const cellBytes = 16;

/** A block that repeats its mark, so that a part of it is known wherever it turns up. */
export function blockOf({ object, write, slot }: Mark): Buffer {
  const cell = Buffer.alloc(cellBytes);
  [magic, object, write, slot].forEach((value, n) => cell.writeUInt32LE(value, n * 4));
  return Buffer.alloc(blockBytes, cell);
}

const zeros = Buffer.alloc(blockBytes);

/** Reads a block: its mark, `zeros`, or what is wrong with it. */
export function readBlock(block: Buffer): Mark | 'zeros' | { readonly wrong: string } {
  if (block.length < blockBytes) return readBlock(Buffer.concat([block, zeros], blockBytes));
  if (block.equals(zeros)) return 'zeros';
  const [found, object = 0, write = 0, slot = 0] = [0, 4, 8, 12].map((at) =>
    block.readUInt32LE(at),
  );
  if (found !== magic) return { wrong: `no block of this run: ${block.toString('hex', 0, 16)}` };
  const mark = { object, write, slot };
  const whole = blockOf(mark);
  if (block.equals(whole)) return mark;
  const at = block.findIndex((byte, n) => byte !== whole[n]);
  return { wrong: `torn at byte ${at}: begins as write ${write} to slot ${slot}` };
}

/** The first byte between `from` and `to` that is not zero; -1 when there is none. */
export function firstByte(text: Buffer, from: number, to: number): number {
  for (let at = from; at < to; at += blockBytes) {
    const part = text.subarray(at, Math.min(to, at + blockBytes));
    if (!part.equals(zeros.subarray(0, part.length)))
      return at + part.findIndex((byte) => byte !== 0);
  }
  return -1;
}
