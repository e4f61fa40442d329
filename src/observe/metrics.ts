/** Names and values that distinguish the series of a metric; few and bounded, never an id. */
type Labels = Readonly<Record<string, string>>;

/** Adds to a counter. */
type Count = (labels?: Labels, by?: number) => void;

/** Puts one value into a histogram. */
type Observe = (value: number, labels?: Labels) => void;

/** One series of a gauge. */
export interface Series {
  readonly labels: Labels;
  readonly value: number;
}

/** Numbers about the running driver, for Prometheus. */
export interface Metrics {
  counter(name: string, help: string): Count;
  histogram(name: string, help: string, buckets?: readonly number[]): Observe;
  /** A value that is read when the metrics are rendered. */
  gauge(name: string, help: string, read: () => number): void;
  /** Values that are read when the metrics are rendered, one for each series. */
  gauges(name: string, help: string, read: () => readonly Series[]): void;
  /** All metrics in the text format of Prometheus. */
  render(): string;
}

interface Family {
  readonly head: string;
  readonly lines: () => readonly string[];
}

/** Seconds; a metadata operation of the driver takes milliseconds, an mm command up to minutes. */
const secondsBuckets: readonly number[] = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 120];

/**
 * An empty registry. Names must be distinct. A new metric goes where its values are: one for each root in
 * src/service/forest/metrics.ts, requests in src/cli/server/open.ts, copied bytes in src/cli/server/assemble.ts,
 * commands in src/run/observed.ts. docs/monitoring.md lists all.
 */
export function createMetrics(): Metrics {
  const families = new Map<string, Family>();
  const add = (name: string, type: string, help: string, lines: Family['lines']): void => {
    if (families.has(name)) throw new Error(`metric ${name} exists already`);
    families.set(name, { head: `# HELP ${name} ${help}\n# TYPE ${name} ${type}`, lines });
  };
  return {
    counter: (name, help) => {
      const { count, lines } = counter(name);
      add(name, 'counter', help, lines);
      return count;
    },
    histogram: (name, help, buckets = secondsBuckets) => {
      const { observe, lines } = histogram(name, buckets);
      add(name, 'histogram', help, lines);
      return observe;
    },
    gauge: (name, help, read) => {
      add(name, 'gauge', help, () => [`${name} ${read()}`]);
    },
    gauges: (name, help, read) => {
      add(name, 'gauge', help, () =>
        read().map(({ labels, value }) => `${name}${braces(text(labels))} ${value}`),
      );
    },
    render: () =>
      [...families.values()]
        .flatMap(({ head, lines }) => [head, ...lines()])
        .map((line) => `${line}\n`)
        .join(''),
  };
}

function counter(name: string): { readonly count: Count; readonly lines: Family['lines'] } {
  const series = new Map<string, number>();
  return {
    count: (labels = {}, by = 1) => {
      const key = text(labels);
      series.set(key, (series.get(key) ?? 0) + by);
    },
    lines: () => Array.from(series, ([key, value]) => `${name}${braces(key)} ${value}`),
  };
}

interface Distribution {
  readonly counts: number[];
  sum: number;
  total: number;
}

function histogram(name: string, buckets: readonly number[]) {
  const series = new Map<string, Distribution>();
  const observe: Observe = (value, labels = {}) => {
    const key = text(labels);
    const found = series.get(key) ?? { counts: buckets.map(() => 0), sum: 0, total: 0 };
    series.set(key, found);
    // Buckets of Prometheus are cumulative: each counts all values up to its bound.
    buckets.forEach((bound, n) => {
      if (value <= bound) found.counts[n] = (found.counts[n] ?? 0) + 1;
    });
    found.sum += value;
    found.total += 1;
  };
  const bucketLine = (key: string, bound: string, value: number): string =>
    `${name}_bucket${braces([key, `le="${bound}"`].filter((part) => part !== '').join(','))} ${value}`;
  const lines: Family['lines'] = () =>
    Array.from(series).flatMap(([key, { counts, sum, total }]) => [
      ...counts.map((value, n) => bucketLine(key, String(buckets[n]), value)),
      bucketLine(key, '+Inf', total),
      `${name}_sum${braces(key)} ${sum}`,
      `${name}_count${braces(key)} ${total}`,
    ]);
  return { observe, lines };
}

const text = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escape(value)}"`)
    .join(',');

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`);

const escape = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
