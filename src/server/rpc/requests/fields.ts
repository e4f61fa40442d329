import { posix } from 'node:path';
import { z } from 'zod';

// Length as CSI counts it: bytes of UTF-8, not characters.
const utf8Length = (text: string): number => Buffer.byteLength(text);

// What CSI allows where it says nothing else.
const longestString = 128;
const longestMap = 4096;
const longestFlags = 4096;
// PATH_MAX of Linux, without its final NUL.
const longestPath = 4095;

/** A text of at most `longest` bytes; may be empty. */
export const text = (longest = longestString) =>
  z.string().refine((value) => utf8Length(value) <= longest, {
    error: `must be at most ${longest} bytes of UTF-8`,
  });

/** A text that must be there. */
export const given = (longest = longestString) =>
  text(longest).refine((value) => value !== '', { error: 'must be given' });

// eslint-disable-next-line no-control-regex -- these are the very characters that CSI forbids
const forbiddenInNames = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/;

/** A name chosen by the caller: any Unicode but control characters. */
export const objectName = given()
  .refine((name) => !forbiddenInNames.test(name), {
    error: 'must not hold control characters other than tab, line feed and carriage return',
  })
  // Bytes that are no UTF-8 arrive as U+FFFD, so that two different names could look like one.
  .refine((name) => name.isWellFormed() && !name.includes('\uFFFD'), {
    error: 'must be valid Unicode',
  });

/** A map as a Map, of any length: its keys are the caller's, and `__proto__` is a key like any other. */
export const anyMap = z
  .custom<Readonly<Record<string, string>>>((value) => typeof value === 'object' && value !== null)
  .transform((entries) => new Map(Object.entries(entries)) as ReadonlyMap<string, string>);

/** A map of the length that CSI allows. */
export const textMap = anyMap.refine((map) => lengthOf(map) <= longestMap, {
  error: `must be at most ${longestMap} bytes in keys and values together`,
});

const lengthOf = (map: ReadonlyMap<string, string>): number =>
  Array.from(map).reduce((sum, [key, value]) => sum + utf8Length(key) + utf8Length(value), 0);

/** Flags of a mount, bounded together. */
export const boundedFlags = z
  .array(z.string())
  .refine((flags) => flags.reduce((sum, flag) => sum + utf8Length(flag), 0) <= longestFlags, {
    error: `must be at most ${longestFlags} bytes together`,
  });

// A path before any check of its form.
const anyPath = text(longestPath)
  .refine((path) => !path.includes('\0'), { error: 'must not hold a NUL byte' })
  .transform((path) => (path.startsWith('/') ? trimmed(path) : path));

/** A path that must be there, of whatever form. */
export const givenPath = anyPath.refine((path) => path !== '', { error: 'must be given' });

/** An absolute path without "..", in one spelling for each place. */
export const absolutePath = givenPath.superRefine((path, context) => {
  const problem = whyNotAbsolute(path);
  if (path !== '' && problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** As absolutePath, but it may be absent. */
export const optionalPath = anyPath.superRefine((path, context) => {
  const problem = path === '' ? undefined : whyNotAbsolute(path);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

function whyNotAbsolute(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must be an absolute path';
  if (path.split('/').includes('..')) return 'must not hold a component ".."';
  return undefined;
}

function trimmed(path: string): string {
  // normalize() would resolve `..`, and the check after it would see nothing.
  if (path.split('/').includes('..')) return path;
  const plain = posix.normalize(path);
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
}

/** An int64 as it comes off the wire: decimal digits. */
export const int64 = z.string().transform((digits) => BigInt(digits));

/** The id of a volume or snapshot. Its form is not checked here: an id that we never made is an unknown one. */
export const objectId = given();

/** The id of a node. CSI gives it twice the length of other strings. */
export const longestNodeId = 256;
