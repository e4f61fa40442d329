import type { Scrubber } from '../../observe/scrub.ts';
import { boundedArchive, type BoundedArchive } from './archive.ts';
import type { Renamer } from './renamer.ts';

/** The size below which an archive stays. */
const mostArchiveBytes = 20 * 1024 * 1024;

/** What stays free for the list of contents. */
const reserveBytes = 256 * 1024;

/** One file of a support bundle. */
export interface BundlePart {
  readonly name: string;
  /** What it is, for the list of contents. */
  readonly what: string;
  /** Most characters of it; of more, the beginning is kept, or the end of a log. */
  readonly most: number;
  readonly keep: 'beginning' | 'end';
  /** Its text, or a value that becomes JSON. Throws why it cannot be had. */
  readonly read: () => Promise<string | object>;
}

/** What a collection works with. */
export interface Collecting {
  readonly scrub: Scrubber;
  /** Undefined: names stay. */
  readonly rename: Renamer | undefined;
  /** Milliseconds after which a part that gives no answer is left out: a GPFS that hangs must not keep the others back. */
  readonly limitMs: number;
  readonly nowMs: number;
  /** The first lines of the list of contents. */
  readonly title: readonly string[];
  readonly mostBytes?: number;
}

/** The list of contents. */
const listName = 'MANIFEST.txt';

/** Collects the parts, one after the other, into one .tar.gz below its limit; the last file says what is in it and what is not. */
export async function collect(parts: readonly BundlePart[], on: Collecting): Promise<Buffer> {
  const archive = boundedArchive(on.mostBytes ?? mostArchiveBytes, on.nowMs);
  const lines: string[] = [];
  const missing: string[] = [];
  for (const part of parts)
    try {
      const read = await within(on.limitMs, part.read());
      lines.push(addTo(archive, part, written(read, part, on)));
    } catch (error) {
      missing.push(`${part.name}  ${part.what}: ${said(on, error)}`);
    }
  archive.add(listName, listOf(on, lines, missing));
  return archive.end();
}

/** Adds as much of a text as fits; returns its line for the list. */
function addTo(archive: BoundedArchive, part: BundlePart, { text, left }: Written): string {
  for (let some = text; ; some = cut(text, Math.floor(some.length / 2), part.keep)) {
    if (archive.add(part.name, some, reserveBytes)) {
      const lost = left + text.length - some.length;
      const note = lost === 0 ? '' : ` (cut: ${lost} characters more; the ${part.keep} is here)`;
      return `${part.name}  ${part.what}${note}`;
    }
    if (some.length < 2) throw new Error('the archive is full');
  }
}

interface Written {
  readonly text: string;
  /** Characters that are left out already. */
  readonly left: number;
}

/** A part as it may leave the node: secrets first, then names, then its bounds. */
function written(read: string | object, part: BundlePart, on: Collecting): Written {
  const whole = typeof read === 'string' ? textOf(read, on) : jsonOf(read, on);
  const text = cut(whole, part.most, part.keep);
  return { text, left: whole.length - text.length };
}

function textOf(read: string, { scrub, rename }: Collecting): string {
  const clean = scrub.text(read);
  return rename ? rename.text(clean) : clean;
}

function jsonOf(read: object, { scrub, rename }: Collecting): string {
  const clean = scrub.value(read);
  return `${JSON.stringify(rename ? rename.value(clean) : clean, null, 1)}\n`;
}

/** At most so many characters, in whole lines where there is one. */
function cut(text: string, most: number, keep: BundlePart['keep']): string {
  if (text.length <= most) return text;
  if (keep === 'beginning') {
    const some = text.slice(0, most);
    return some.slice(0, some.lastIndexOf('\n') + 1) || some;
  }
  const some = text.slice(-most);
  return some.slice(some.indexOf('\n') + 1);
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`no answer within ${limitMs / 1000} s`));
  }, limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const said = (on: Collecting, error: unknown): string =>
  textOf(error instanceof Error ? error.message : String(error), on).slice(0, 1000);

const listOf = (on: Collecting, lines: readonly string[], missing: readonly string[]): string =>
  [
    ...on.title,
    '',
    'Secrets are replaced by [redacted]: values under names such as password or token, keys and tokens by their',
    'form, and what the environment holds under such names. Look through it before you pass it on.',
    on.rename
      ? 'Names of volumes, snapshots, claims, namespaces and nodes are replaced, each by the same text everywhere.'
      : 'Names of volumes, snapshots, claims, namespaces and nodes are as they are; --rename replaces them.',
    '',
    'In this archive:',
    ...lines.map((line) => `  ${line}`),
    '',
    missing.length === 0 ? 'Everything could be had.' : 'What could not be had, and why:',
    ...missing.map((line) => `  ${line.replaceAll('\n', ' ')}`),
    '',
  ].join('\n');
