import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { accountKeeper } from '../../../src/service/forest/accounts.ts';
import {
  registerAccountMetrics,
  registerQueueMetrics,
  registerVolumeMetrics,
} from '../../../src/service/forest/metrics.ts';
import {
  dashboardExpressions,
  dashboards,
  seriesIn,
  strangersIn,
  type Expression,
} from '../../chart/monitoring/expressions.ts';
import { asBlock, newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { edit, forest } from '../../support/memory/forest.ts';
import { prometheusLimitMs, prometheusTool } from '../../support/tools/prometheus.ts';

const site = await realSite();
const port = await freePort();
const flags = { 'http-port': String(port), 'http-address': '127.0.0.1', 'driver-name': 'a.test' };
const server = await site.serve('a1', { flags });
const folder = mkdtempSync(join(tmpdir(), 'monitoring-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function freePort(): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  const { port: free } = listening.address() as AddressInfo;
  await new Promise((resolve) => listening.close(resolve));
  return free;
}

const scrape = async (): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(answer.status).toBe(200);
  return answer.text();
};

/** What a count of a root shows; a server begins with that a minute after its start. */
async function counted(): Promise<string> {
  const world = await forest();
  const metrics = createMetrics();
  const accounts = accountKeeper(world.driver.host, 3);
  registerAccountMetrics(metrics, accounts);
  registerVolumeMetrics(metrics, accounts);
  registerQueueMetrics(metrics, world.driver.worker);
  const claim = { op: 'delete', node: 'b1', instance: 'i', boot: 'b', nonce: 'n', sinceMs: 0 };
  await edit(world, 'volumes', 'lone', (record) => ({
    ...record,
    claim: { ...claim, released: false },
  }));
  await accounts.refresh(new AbortController().signal);
  await world.driver.worker.round();
  return metrics.render();
}

/** The alerts of the chart, as it is installed with everything. */
function alertExpressions(): readonly Expression[] {
  const path = join(import.meta.dirname, '../../chart/snapshots/everything.yaml');
  for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
    const { kind, spec } = (document.toJS() ?? {}) as { readonly kind?: string; spec?: Groups };
    if (kind !== 'PrometheusRule') continue;
    const rules = spec?.groups.flatMap((group) => group.rules) ?? [];
    return rules.map(({ alert, expr }) => ({ where: alert, text: expr }));
  }
  throw new Error('there are no alerts');
}

interface Groups {
  readonly groups: readonly { readonly rules: readonly { alert: string; expr: string }[] }[];
}

test('a server shows what it is, its roots, its volumes, and counters that begin at 0', async () => {
  const volume_id = await newVolume(server, 'v');
  const snapshot_id = await newSnapshot(server, 's', volume_id);
  const ask = { volume_id, node_id: 'a1', volume_capability: asBlock() };
  await server.ok('ControllerPublishVolume', ask);
  const lines = (await scrape()).split('\n');
  const root = `root="${site.root}"`;
  expect(lines).toContainEqual(
    expect.stringMatching(/^gpfs_csi_build_info\{version="\S+",driver="a.test",nodejs="\S+"\} 1$/),
  );
  for (const line of [
    `gpfs_csi_root_usable{${root}} 1`,
    'gpfs_csi_attached_volumes_limit 256',
    `gpfs_csi_cut_offs_total{${root}} 0`,
    `gpfs_csi_compaction_failures_total{${root}} 0`,
    `gpfs_csi_flatten_bytes_total{${root}} 0`,
  ])
    expect(lines).toContain(line);
  expect(lines).toContainEqual(expect.stringMatching(/^gpfs_csi_attached_volumes\{.*\} \d+$/));
  await server.ok('ControllerUnpublishVolume', { volume_id, node_id: 'a1' });
  await server.ok('DeleteSnapshot', { snapshot_id });
  await remove(server, { volumes: [volume_id] });
});

describe('expressions of dashboards and alerts', () => {
  const expressions = [...dashboardExpressions(), ...alertExpressions()];
  let series: ReturnType<typeof seriesIn>;
  beforeAll(async () => {
    await prometheusTool('promtool');
    const real = await scrape();
    const names = new Set(seriesIn(real).keys());
    const here = await counted();
    for (const name of seriesIn(here).keys()) expect(names).toContain(name);
    series = seriesIn(`${real}${here}`);
  }, prometheusLimitMs);

  test('name only metrics and labels that a server has', () => {
    expect(expressions.length).toBeGreaterThan(80);
    expect(expressions.flatMap((each) => strangersIn(each, series))).toEqual([]);
  });

  test('with a wrong metric or label would be found', () => {
    const wrong = (text: string) => strangersIn({ where: 'x', text }, series);
    expect(wrong('gpfs_csi_nothing{root="a"}')).toEqual(['x: there is no metric gpfs_csi_nothing']);
    expect(wrong('gpfs_csi_clone_depth{rot="a"}')).toHaveLength(1);
    expect(wrong('sum by (rot) (gpfs_csi_clone_depth)')).toHaveLength(1);
    expect(wrong('1')).toHaveLength(1);
  });

  test('leave out no metric', () => {
    const all = expressions.map(({ text }) => text).join('\n');
    // These are figures for a person with a question of his own.
    const apart = ['gpfs_csi_pv_size_bytes', 'gpfs_csi_pv_shared_bytes', 'gpfs_csi_pv_clone_depth'];
    apart.push('gpfs_csi_unreadable_records');
    const missing = [...series.keys()].filter((name) => !all.includes(name));
    expect(missing.sort()).toEqual(apart.sort());
  });

  test('are accepted by promtool, which refuses a wrong one', async () => {
    const promtool = await prometheusTool('promtool');
    const check = async (texts: readonly string[]): Promise<string> => {
      const rules = texts.map((expr, n) => ({ record: `of:expression:${n}`, expr }));
      const file = join(folder, 'rules.yml');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'all', rules }] }));
      const done = await promisify(execFile)(promtool, ['check', 'rules', file]).catch(
        (error: unknown) => error as { readonly stdout: string; readonly stderr: string },
      );
      return `${done.stdout}${done.stderr}`;
    };
    const texts = expressions.map(({ text }) => text);
    expect(await check(texts)).toContain(`SUCCESS: ${texts.length} rules found`);
    expect(await check(['sum by (root (up)'])).toMatch(/FAILED/);
  });
});

test('dashboards have names and places of their own', () => {
  const all = [...dashboards()];
  expect(all.map(([name]) => name).sort()).toEqual([
    'clone-trees',
    'commands',
    'fleet',
    'node',
    'space',
  ]);
  for (const [name, { uid, panels }] of all) {
    expect(uid).toBe(`gpfs-csi-${name}`);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  }
});
