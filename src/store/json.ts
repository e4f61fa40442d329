import type { z } from 'zod';
import { DriverError } from '../model/fault.ts';
import { recordFormat } from './schema/data.ts';

/** A record as text: readable, one field a line, sizes and inodes as decimal strings. */
export const toText = (value: object): string =>
  `${JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field), 1)}\n`;

/** Reads a record. Throws unreadable-record naming the path; what is on disk stays as it is. */
export function fromText<T>(schema: z.ZodType<T>, text: string, path: string): T {
  const parsed = schema.safeParse(parseJson(text, path));
  if (!parsed.success) throw unreadable(path, parsed.error.issues[0]?.message, parsed.error);
  return parsed.data;
}

function parseJson(text: string, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    refuseNewer(value, path);
    return value;
  } catch (error) {
    if (error instanceof DriverError) throw error;
    throw unreadable(path, 'it is not JSON', error);
  }
}

function refuseNewer(value: unknown, path: string): void {
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : 0;
  if (typeof format === 'number' && format > recordFormat)
    throw unreadable(
      path,
      `it has format ${format}, this version knows up to ${recordFormat}; upgrade the driver`,
    );
}

const unreadable = (path: string, why: string | undefined, cause?: unknown): DriverError =>
  new DriverError(
    'unreadable-record',
    `record ${path} cannot be read (${why ?? 'unknown reason'}); it was left as it is, restore it or ask for help`,
    cause,
  );
