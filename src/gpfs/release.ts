/** A level of GPFS, as the version of the product or as the number of a format (`14.03` belongs to 4.1.0). */
export interface Release {
  readonly kind: 'product' | 'format';
  /** Most significant first; whole numbers, because as decimals 8.9 would come after 8.10. */
  readonly parts: readonly number[];
}

// Both name GPFS 3.4, the first that knows file clones.
const firstWithClones = { product: [3, 4], format: [12, 0] } as const;

/** Reads `5.2.1.0`, `14.03`, or `1403`; undefined for anything else. */
export function parseRelease(text: string): Release | undefined {
  const whole = /^(\d{1,2})(\d{2})$/.exec(text);
  if (whole) return { kind: 'format', parts: whole.slice(1).map(Number) };
  if (!/^\d{1,4}(?:\.\d{1,4}){1,7}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  // Formats of two parts stand in the tens; products of that age were in single digits.
  const [first = 0] = parts;
  return { kind: parts.length === 2 && first >= 10 ? 'format' : 'product', parts };
}

/** Whether file clones exist at this level. */
export const knowsClones = ({ kind, parts }: Release): boolean =>
  compare(parts, firstWithClones[kind]) >= 0;

/** As people write it. */
export const showRelease = ({ kind, parts }: Release): string =>
  kind === 'product'
    ? parts.join('.')
    : parts.map((part) => String(part).padStart(2, '0')).join('.');

/** Negative, 0 or positive, as `a` is before, at or after `b`; missing parts count as 0. */
export function compare(a: readonly number[], b: readonly number[]): number {
  const length = Math.max(a.length, b.length);
  const differences = Array.from({ length }, (_, n) => (a[n] ?? 0) - (b[n] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}
