import { DriverError } from '../../model/fault.ts';
import type { Descriptor } from '../proto.ts';

/** The most bytes of one message: a request with every map and list full stays far below it. */
export const longestMessage = 256 * 1024;

/** The most fields of one message: each entry of a list or map counts, and so does each field inside of it. */
const mostFields = 8192;

/** What one field costs in memory, in bytes, once it is an object. */
const fieldBytes = 64;

/** A message as it came. The bytes go when it is read, so that a request that runs for hours does not hold them. */
export interface Message {
  bytes: Uint8Array | undefined;
}

/** How the messages of one RPC are read: first weighed, then built. */
export interface MessageReader {
  /** What a message will take in memory, in bytes. Throws invalid-request for one that is malformed or too large. */
  weigh(bytes: Uint8Array): number;
  /** Throws invalid-request. */
  build(bytes: Uint8Array): unknown;
}

/** The reader for requests of a type; `deserialize` is the one of protobuf. */
export function messageReader(
  descriptor: Descriptor,
  named: (name: string) => Descriptor | undefined,
  deserialize: (bytes: Buffer) => unknown,
): MessageReader {
  const shape = shapeOf(descriptor, named);
  return {
    weigh: (bytes) => weigh(bytes, shape),
    build: (bytes) => {
      try {
        return deserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      } catch (error) {
        throw malformed(error);
      }
    },
  };
}

/** What the server knows of the messages of one type: its fields by number. */
type Shape = ReadonlyMap<number, FieldShape>;

interface FieldShape {
  readonly wire: number;
  /** Of a field that holds a message. */
  readonly inner?: Shape | undefined;
}

const wires: Readonly<Record<string, number>> = {
  TYPE_DOUBLE: 1,
  TYPE_FIXED64: 1,
  TYPE_SFIXED64: 1,
  TYPE_STRING: 2,
  TYPE_BYTES: 2,
  TYPE_MESSAGE: 2,
  TYPE_FLOAT: 5,
  TYPE_FIXED32: 5,
  TYPE_SFIXED32: 5,
};

// Types of CSI do not hold themselves.
function shapeOf(descriptor: Descriptor, named: (name: string) => Descriptor | undefined): Shape {
  return new Map(
    descriptor.field.map(({ number, type, typeName }) => {
      if (type !== 'TYPE_MESSAGE') return [number, { wire: wires[type] ?? 0 }] as const;
      const inner = descriptor.nestedType.find(({ name }) => name === typeName) ?? named(typeName);
      if (!inner)
        throw new DriverError('misconfigured', `the interface does not define ${typeName}`);
      return [number, { wire: 2, inner: shapeOf(inner, named) }] as const;
    }),
  );
}

// A walk over the bytes before anything is built from them: two on the wire may become an object of hundreds.
function weigh(bytes: Uint8Array, shape: Shape): number {
  const walk: Walk = { bytes, at: 0, fields: 0 };
  walkFields(walk, bytes.length, shape);
  return bytes.length + fieldBytes * walk.fields;
}

interface Walk {
  readonly bytes: Uint8Array;
  at: number;
  fields: number;
}

// The depth of the recursion is that of the interface.
function walkFields(walk: Walk, end: number, shape: Shape): void {
  while (walk.at < end) {
    walk.fields += 1;
    if (walk.fields > mostFields) throw tooMany();
    const tag = varint(walk, end);
    if (tag > largestTag) throw malformed();
    const field = shape.get(tag >>> 3);
    // A decoder that goes by the number alone would read other fields than were counted here.
    if (field && field.wire !== (tag & 7)) throw malformed();
    walkField(walk, end, tag & 7, field?.inner);
  }
}

function walkField(walk: Walk, end: number, wire: number, inner: Shape | undefined): void {
  if (wire === 0) varint(walk, end);
  else if (wire === 2) {
    const length = varint(walk, end);
    if (length > end - walk.at) throw malformed();
    if (inner) walkFields(walk, walk.at + length, inner);
    else walk.at += length;
  } else skip(walk, end, wire);
}

const fixed: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

function skip(walk: Walk, end: number, wire: number): void {
  const length = fixed[wire];
  // Groups are not used since protobuf 3.
  if (length === undefined || length > end - walk.at) throw malformed();
  walk.at += length;
}

const longestVarint = 10;
const largestTag = 0xffff_ffff;

/** Reads a number of up to 64 bits; exact below 2^53. */
function varint(walk: Walk, end: number): number {
  let value = 0;
  for (let n = 0; n < longestVarint && walk.at < end; n += 1) {
    const byte = walk.bytes[walk.at++] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * n);
    if (byte < 0x80) return value;
  }
  throw malformed();
}

const malformed = (cause?: unknown): DriverError =>
  new DriverError({ kind: 'invalid-request', field: '' }, 'the request is malformed', cause);

const tooMany = (): DriverError =>
  new DriverError(
    { kind: 'invalid-request', field: '' },
    `the request holds more than ${mostFields} fields and entries of lists and maps; send fewer`,
  );
