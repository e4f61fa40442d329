import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prometheusLimitMs, prometheusTool } from '../../support/tools/prometheus.ts';
import { chart, manifests, type Values } from '../helm.ts';
import { held, scenarios, type Scenario } from './alert-scenarios.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}

const roots = ['/gpfs/fs1/csi'];
const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const runbooks = join(chart, '../../docs/runbooks');
const pages = () => readdirSync(runbooks).filter((name) => name !== 'README.md');
let rules: readonly Rule[] = [];

beforeAll(async () => {
  await prometheusTool('promtool');
  ({ rules } = (await rulesOf({})).groups[0] ?? { rules: [] });
}, prometheusLimitMs);

async function rulesOf(values: Values): Promise<Rules> {
  const all = await manifests({ roots, metrics: { rules: { enabled: true } }, ...values });
  const found = all.find(({ kind }) => kind === 'PrometheusRule');
  return found?.['spec'] as Rules;
}

const inBraces = (labels: Readonly<Record<string, string>>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;

/** What `promtool test rules` reads: at these minutes the alert fires, with these labels, or does not. */
function asTest({ alert, series, silent, fires, cleared, of = {} }: Scenario) {
  const names = Object.keys(of).join(', ');
  const expr = `count by (${names}) (ALERTS{alertname="${alert}", alertstate="firing"})`;
  const at = (minute: number, firing: boolean) => ({
    expr,
    eval_time: `${minute}m`,
    exp_samples: firing ? [{ labels: inBraces(of), value: 1 }] : [],
  });
  const target = { namespace: 'gpfs-csi', job: 'gpfs-csi/gpfs-csi-node' };
  return {
    name: alert,
    interval: '1m',
    input_series: series.map(({ metric, labels, values }) => ({
      series: `${metric}${inBraces({ ...target, ...labels })}`,
      values,
    })),
    promql_expr_test: [at(silent, false), at(fires, true), at(cleared, false)],
  };
}

/** What promtool has against these scenarios; '' where each is as it should be. */
async function failures(spec: Rules, played: readonly Scenario[]): Promise<string> {
  const place = mkdtempSync(join(folder, 'run-'));
  writeFileSync(join(place, 'rules.yml'), JSON.stringify(spec));
  const file = join(place, 'test.yml');
  const tests = played.map(asTest);
  writeFileSync(
    file,
    JSON.stringify({ rule_files: ['rules.yml'], evaluation_interval: '5m', tests }),
  );
  const promtool = await prometheusTool('promtool');
  return promisify(execFile)(promtool, ['test', 'rules', file]).then(
    () => '',
    (error: unknown) => {
      const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
      return `${stdout}${stderr}`;
    },
  );
}

describe('each alert', () => {
  test('is fired and cleared', async () => {
    expect(scenarios.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
    expect(await failures(await rulesOf({}), scenarios)).toBe('');
  });

  test('that did not fire would be found', async () => {
    const spec = await rulesOf({});
    for (const scenario of scenarios)
      expect(scenario.silent < scenario.fires && scenario.fires < scenario.cleared).toBe(true);
    const [first] = scenarios;
    const dull = [{ ...first, series: [] } as unknown as Scenario];
    expect(await failures(spec, dull)).toMatch(/FAILED|GpfsCsiDriverAway/);
  });

  test('has a page, and each page an alert', () => {
    expect(pages().sort()).toEqual(rules.map(({ alert }) => `${alert}.md`).sort());
    for (const { alert, annotations } of rules)
      expect(annotations['runbook_url']).toBe(`docs/runbooks/${alert}.md`);
  });

  test('leads to the place that the administrator names', async () => {
    const metrics = { rules: { enabled: true, runbookUrl: 'https://example.org/pages/' } };
    const { groups } = await rulesOf({ metrics });
    expect(groups[0]?.rules[0]?.annotations['runbook_url']).toBe(
      'https://example.org/pages/GpfsCsiDriverAway.md',
    );
  });
});

test('each page says what it means, what users see, how to look, what to do, and when to call', () => {
  for (const page of pages()) {
    const text = readFileSync(join(runbooks, page), 'utf8');
    expect(text.split('\n')[0], page).toBe(`# ${page.replace('.md', '')}`);
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings, page).toEqual([
      'What it means',
      'What users see',
      'How to look',
      'What to do',
      'When to call',
    ]);
  }
});

test('with topology a root may be missing on some nodes, and not on all', async () => {
  const spec = await rulesOf({ topology: { enabled: true } });
  const usable = (node: string, values: string) => ({
    metric: 'gpfs_csi_root_usable',
    labels: { node, root: '/gpfs/fs1/csi' },
    values,
  });
  const scenario = {
    alert: 'GpfsCsiRootAway',
    series: [
      usable('n1', held(0, 100)),
      usable('n2', [held(1, 30), held(0, 30), held(1, 40)].join(' ')),
    ],
    silent: 29,
    fires: 45,
    cleared: 70,
    of: { root: '/gpfs/fs1/csi' },
  };
  expect(await failures(spec, [scenario])).toBe('');
});

test('work that is slow is not work that is stuck', async () => {
  const stuck = scenarios.find(({ alert }) => alert === 'GpfsCsiQueueStuck');
  const [oldest, copied] = stuck?.series ?? [];
  if (!stuck || !oldest || !copied) throw new Error('there is no such scenario');
  const moving = { ...stuck, series: [oldest, { ...copied, values: '0+100x600' }] };
  expect(await failures(await rulesOf({}), [moving])).toMatch(/GpfsCsiQueueStuck/);
});
