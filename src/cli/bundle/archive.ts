import { gzipSync } from 'node:zlib';

const block = 512;

/** A name in an archive: short, relative, and plain in every program that unpacks it. */
const plainEntry = /^[A-Za-z0-9][\w.-]*(?:\/[A-Za-z0-9][\w.-]*)*$/;

/** An archive that grows by whole files and never beyond its size. */
export interface BoundedArchive {
  /**
   * Adds a file if it still fits, `reserve` bytes left over; returns whether it did. Throws a defect for a name of more
   * than 100 characters or with others than letters, digits, `.`, `_`, `-` and `/`.
   */
  readonly add: (name: string, content: string | Uint8Array, reserve?: number) => boolean;
  /** The whole .tar.gz. */
  readonly end: () => Buffer;
}

/**
 * An archive in ustar format (POSIX.1-1988), each file a gzip member of its own: gzip allows that (RFC 1952, 2.2), and so
 * the size of what is added is known before it is added.
 */
export function boundedArchive(mostBytes: number, timeMs: number): BoundedArchive {
  const end = gzipSync(Buffer.alloc(2 * block));
  const parts: Buffer[] = [];
  let size = end.length;
  return {
    add: (name, content, reserve = 0) => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      const padding = Buffer.alloc((block - (bytes.length % block)) % block);
      const part = gzipSync(Buffer.concat([headerOf(name, bytes.length, timeMs), bytes, padding]));
      if (size + part.length + reserve > mostBytes) return false;
      parts.push(part);
      size += part.length;
      return true;
    },
    end: () => Buffer.concat([...parts, end]),
  };
}

/** Fields of a header: offset, and the text. */
function headerOf(name: string, size: number, timeMs: number): Buffer {
  if (name.length > 100 || !plainEntry.test(name))
    throw new Error(`${name} cannot be the name of a file in the archive`);
  const header = Buffer.alloc(block);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  const fields: readonly (readonly [offset: number, text: string])[] = [
    [0, name],
    [100, octal(0o600, 7)],
    [108, octal(0, 7)],
    [116, octal(0, 7)],
    [124, octal(size, 11)],
    [136, octal(Math.floor(timeMs / 1000), 11)],
    [148, ' '.repeat(8)],
    [156, '0'],
    [257, 'ustar'],
    [263, '00'],
  ];
  for (const [offset, text] of fields) header.write(text, offset, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return header;
}
