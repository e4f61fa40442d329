import type { dashboards } from '../../../chart/monitoring/expressions.ts';
import type { Drawn, Line } from './draw.ts';
import type { Watched } from './traffic.ts';

type Board = NonNullable<ReturnType<ReturnType<typeof dashboards>['get']>>;
type Panel = Board['panels'][number];

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

/** The panels of a dashboard with what Prometheus answers to their expressions. */
export const askPanels = (watched: Watched, { panels }: Board): Promise<readonly Drawn[]> =>
  Promise.all(
    panels.map(async (panel) => ({
      title: panel.title,
      type: panel.type,
      unit: panel.fieldConfig.defaults.unit,
      at: panel.gridPos,
      lines: await linesOf(watched, panel),
    })),
  );

async function linesOf(watched: Watched, { type, targets }: Panel): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for (const { expr, legendFormat } of targets) {
    const { data } = await ask(watched, type === 'timeseries', shortly(expr));
    for (const { metric, value, values } of data.result)
      lines.push({
        name: named(legendFormat, metric),
        points: (values ?? (value ? [value] : []))
          .map(([seconds, text]) => [seconds, Number(text)] as const)
          .filter(([, number]) => Number.isFinite(number)),
      });
  }
  return lines.filter(({ points }) => points.length > 0);
}

/** The variables as they are for everything in a time of minutes, which is all that there is. */
const shortly = (expr: string): string =>
  expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '10m')
    .replaceAll('node=~"$node"', 'node="a1"')
    .replaceAll(/\$(?:job|root)\b/g, '.*');

const named = (format: string, metric: Readonly<Record<string, string>>): string =>
  format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => {
    const value = metric[label] ?? '';
    // The path of a root on the machine that drew this says nothing to readers.
    return label === 'root' ? '/gpfs/fs1/csi' : value;
  });

async function ask({ url, from, to }: Watched, isRange: boolean, query: string): Promise<Answer> {
  const range = { start: String(from), end: String(to), step: '5' };
  const words = new URLSearchParams({ query, ...(isRange ? range : { time: String(to) }) });
  const answer = await fetch(
    `${url}/api/v1/${isRange ? 'query_range' : 'query'}?${words.toString()}`,
  );
  const read = (await answer.json()) as Answer;
  if (read.status !== 'success') throw new Error(`${query}: ${read.error ?? ''}`);
  return read;
}
