import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from '../helm.ts';

/** An expression of Prometheus, and where it stands. */
export interface Expression {
  readonly where: string;
  readonly text: string;
}

interface Board {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly fieldConfig: { readonly defaults: { readonly unit: string } };
    readonly gridPos: {
      readonly x: number;
      readonly y: number;
      readonly w: number;
      readonly h: number;
    };
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

/** The dashboards of the chart, by the name of their file. */
export function dashboards(): ReadonlyMap<string, Board> {
  const folder = join(chart, 'dashboards');
  return new Map(
    readdirSync(folder).map((name) => [
      name.replace('.json', ''),
      JSON.parse(readFileSync(join(folder, name), 'utf8')) as Board,
    ]),
  );
}

/** The variables of dashboards, as Grafana fills them in for everything in the last hour. */
const filledIn = (text: string): string =>
  text
    .replaceAll('$__rate_interval', '5m')
    .replaceAll('$__range', '1h')
    .replaceAll(/\$(?:job|root|node)\b/g, '.*');

/** The expressions of all dashboards. */
export const dashboardExpressions = (): readonly Expression[] =>
  [...dashboards()].flatMap(([name, { panels }]) =>
    panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({ where: `${name}: ${title}`, text: filledIn(expr) })),
    ),
  );

type Series = ReadonlyMap<string, ReadonlySet<string>>;

/** The labels of the series of each metric, by its name without the endings of a histogram. */
export function seriesIn(exposition: string): Series {
  const heads = exposition.matchAll(/^# HELP (\S+)/gm);
  const found = new Map(Array.from(heads, ([, name = '']) => [name, new Set<string>()]));
  for (const [, name = '', labels = ''] of exposition.matchAll(/^([a-z_]+)\{(.*)\} \S+$/gm))
    for (const [, label = ''] of labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g))
      (found.get(name) ?? found.get(plain(name)))?.add(label);
  return found;
}

const plain = (name: string): string => name.replace(/_(?:bucket|count|sum)$/, '');

/** What Prometheus adds to each series of a pod. */
const targetLabels = ['job', 'namespace', 'node', 'pod', 'instance'];

const labelsOf = (name: string, series: Series): ReadonlySet<string> | undefined =>
  name === 'up' ? new Set() : (series.get(name) ?? series.get(plain(name)));

/** Metrics and labels that an expression names and that are not there. */
export function strangersIn({ where, text }: Expression, series: Series): readonly string[] {
  const used = [...text.matchAll(/\b(gpfs_csi_[a-z_]+|up)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', matchers = '']) => ({ name, matchers, known: labelsOf(name, series) }),
  );
  const all = new Set([...targetLabels, ...used.flatMap(({ known = [] }) => [...known])]);
  const grouped = [...text.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g)]
    .flatMap(([, list = '']) => list.split(',').map((each) => each.trim()))
    .filter((label) => !all.has(label));
  const strange = used.flatMap(({ name, matchers, known }) =>
    known ? wrongMatchers(matchers, known, name) : [`there is no metric ${name}`],
  );
  return [
    ...(used.length === 0 ? ['names no metric'] : []),
    ...strange,
    ...grouped.map((label) => `nothing in it has a label ${label}`),
  ].map((sentence) => `${where}: ${sentence}`);
}

const wrongMatchers = (
  matchers: string,
  known: ReadonlySet<string>,
  name: string,
): readonly string[] =>
  [...matchers.matchAll(/([a-z_]+) *(?:=|!=|=~|!~) *"/g)]
    .map(([, label = '']) => label)
    .filter((label) => !known.has(label) && !targetLabels.includes(label))
    .map((label) => `${name} has no label ${label}`);
