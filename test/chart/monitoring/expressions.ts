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
export const filledIn = (text: string): string =>
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

/** The labels of the series of each metric, by its name without the endings of a histogram. */
export function seriesIn(exposition: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of exposition.split('\n')) {
    const head = /^# HELP (\S+)/.exec(line)?.[1];
    if (head !== undefined) found.set(head, found.get(head) ?? new Set());
    const [, name = '', labels = ''] = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === '') continue;
    const known = found.get(name) ?? found.get(plain(name)) ?? new Set<string>();
    found.set(found.has(name) ? name : plain(name), known);
    for (const [, label = ''] of labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g)) known.add(label);
  }
  return found;
}

const plain = (name: string): string => name.replace(/_(?:bucket|count|sum)$/, '');

/** What Prometheus adds to each series of a pod. */
const targetLabels = ['job', 'namespace', 'node', 'pod', 'instance'];

/** Metrics and labels that an expression names and that are not there. */
export function strangersIn(
  { where, text }: Expression,
  series: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  const used = [...text.matchAll(/\b(gpfs_csi_[a-z_]+|up)(?:\{([^}]*)\})?/g)];
  const labels = new Set(targetLabels);
  const strange: string[] = used.length === 0 ? [`${where}: names no metric`] : [];
  for (const [, name = '', matchers = ''] of used) {
    const known = name === 'up' ? new Set<string>() : (series.get(name) ?? series.get(plain(name)));
    if (!known) strange.push(`${where}: there is no metric ${name}`);
    for (const label of known ?? []) labels.add(label);
    for (const [, label = ''] of matchers.matchAll(/([a-z_]+) *(?:=|!=|=~|!~) *"/g))
      if (known && !known.has(label) && !targetLabels.includes(label))
        strange.push(`${where}: ${name} has no label ${label}`);
  }
  const grouped = [...text.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g)];
  for (const [, list = ''] of grouped)
    for (const label of list.split(',').map((each) => each.trim()))
      if (!labels.has(label)) strange.push(`${where}: nothing in it has a label ${label}`);
  return strange;
}
