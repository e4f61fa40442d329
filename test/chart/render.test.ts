import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { goTool, goToolLimitMs, helmTool, kubeconformTool } from '../support/tools/go-tool.ts';
import { kept, more } from './cases.ts';
import { generatedFiles } from './generate.ts';
import { groupSnapshotApi, lint, parseManifests, render, snapshotApi } from './helm.ts';
import { schemaLocation, writeSchemas } from './schemas.ts';

const root = join(import.meta.dirname, '../..');
const cases = { ...kept, ...more };

// There is no schema of these to be had as a Go module; what they hold is in the snapshots.
const withoutSchema = [
  'PodMonitor',
  'PrometheusRule',
  'SecurityContextConstraints',
  'StorageProfile',
  'Kustomization',
];

beforeAll(() => Promise.all([goTool(helmTool), goTool(kubeconformTool)]), goToolLimitMs);

describe('files made from the chart are as the chart says; else run `npm run chart`', () => {
  let generated: ReadonlyMap<string, string>;
  beforeAll(async () => {
    generated = await generatedFiles();
  });

  test('each of them', async () => {
    for (const [path, text] of generated)
      expect(await readFile(join(root, path), 'utf8'), path).toBe(text);
  });

  test('none that the chart no longer makes', async () => {
    for (const folder of ['deploy/manifests', 'test/chart/snapshots'])
      for (const name of await readdir(join(root, folder)))
        expect([...generated.keys()]).toContain(`${folder}/${name}`);
  });

  test('the kustomization names every manifest', async () => {
    const text = await readFile(join(root, 'deploy/kustomization.yaml'), 'utf8');
    const { resources } = parse(text) as { readonly resources: readonly string[] };
    const made = [...generated.keys()].filter((path) => path.startsWith('deploy/'));
    expect([...resources].sort()).toEqual(
      ['namespace.yaml', ...made.map((path) => path.slice('deploy/'.length))].sort(),
    );
  });
});

test('helm lint finds nothing', async () => {
  for (const [name, { values }] of Object.entries(cases))
    expect(await lint(values), name).toMatchObject({ ok: true });
});

test('nothing but roots is needed', async () => {
  const rendered = await render({ roots: ['/gpfs/fs1/csi'] });
  expect(rendered.ok).toBe(true);
});

test('no text that helm takes for a truth value: it reads YAML 1.1, and the tests 1.2', async () => {
  for (const [name, { values, options }] of Object.entries(cases)) {
    const rendered = await render(values, options);
    const lines = rendered.ok ? rendered.text.split('\n') : [];
    expect(lines.length, name).toBeGreaterThan(100);
    expect(lines.filter((line) => /: (?:on|off|yes|no|y|n)$/i.test(line))).toEqual([]);
  }
});

describe('objects as the API server wants them', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kubeconform-'));
    await mkdir(join(folder, 'schemas'));
    await mkdir(join(folder, 'manifests'));
    await writeSchemas(join(folder, 'schemas'));
  }, goToolLimitMs);
  afterAll(() => rm(folder, { recursive: true }));

  interface Finding {
    readonly filename: string;
    readonly kind: string;
    readonly status: string;
    readonly msg: string;
  }

  async function conform(files: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
    const place = await mkdtemp(join(folder, 'manifests', 'run-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text);
    const program = await goTool(kubeconformTool);
    const args = ['-output', 'json', '-verbose', '-skip', withoutSchema.join(',')];
    const location = ['-schema-location', schemaLocation(join(folder, 'schemas'))];
    const { stdout } = await promisify(execFile)(program, [...args, ...location, place], {
      maxBuffer: 2 ** 26,
    }).catch((error: unknown) => error as { readonly stdout: string });
    return (JSON.parse(stdout) as { readonly resources: readonly Finding[] }).resources;
  }

  test('every case of the chart', async () => {
    const files: Record<string, string> = {};
    for (const [name, { values, options }] of Object.entries(cases)) {
      const rendered = await render(values, options);
      if (!rendered.ok) throw new Error(rendered.why);
      files[`${name}.yaml`] = rendered.text;
    }
    const findings = await conform(files);
    expect(findings.length).toBeGreaterThan(250);
    expect(findings.filter(isBad)).toEqual([]);
  });

  test('every example, and the plain manifests', async () => {
    const files: Record<string, string> = {};
    for (const path of await readdir(join(root, 'deploy'), { recursive: true }))
      // What krew reads is no object of a cluster; the script that makes it has a test of its own.
      if (path.endsWith('.yaml') && !path.startsWith('krew/'))
        files[path.replaceAll('/', '-')] = await readFile(join(root, 'deploy', path), 'utf8');
    const findings = await conform(files);
    expect(findings.length).toBeGreaterThan(30);
    expect(findings.filter(isBad)).toEqual([]);
  });

  test('a field that Kubernetes does not know is found', async () => {
    const text = await readFile(join(root, 'deploy/examples/02-pod.yaml'), 'utf8');
    const findings = await conform({ 'a.yaml': text.replace('fsGroup:', 'fsgroup:') });
    expect(findings.map(({ status }) => status)).toEqual(['statusInvalid']);
  });

  const isBad = ({ status, kind }: Finding): boolean =>
    status !== 'statusValid' && !(status === 'statusSkipped' && withoutSchema.includes(kind));
});

test('hooks aside, everything has the labels and, unless it is of the cluster, the namespace', async () => {
  const ofCluster =
    /^(?:ClusterRole|ClusterRoleBinding|CSIDriver|StorageClass|Volume(?:Group)?SnapshotClass|VolumeAttributesClass|SecurityContextConstraints)$/;
  for (const [name, { values, options }] of Object.entries(cases)) {
    const rendered = await render(values, options);
    const objects = parseManifests(rendered.ok ? rendered.text : '');
    expect(objects.length, name).toBeGreaterThan(5);
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(names).size, name).toBe(names.length);
    for (const { kind, metadata } of objects.filter((each) => each.kind !== 'ConfigMap')) {
      expect(metadata, `${name}: ${kind}`).toHaveProperty(['labels', 'app.kubernetes.io/instance']);
      expect('namespace' in metadata, `${name}: ${kind}`).toBe(!ofCluster.test(kind));
    }
  }
});

test('without snapshot CRDs nothing needs them', async () => {
  const rendered = await render({ roots: ['/gpfs/fs1/csi'] }, { apis: [] });
  const text = rendered.ok ? rendered.text : '';
  expect(text).not.toMatch(/kind: VolumeSnapshotClass|name: snapshotter/);
  const withThem = await render({ roots: ['/gpfs/fs1/csi'] }, { apis: [snapshotApi] });
  expect(withThem.ok && withThem.text).toMatch(/name: snapshotter/);
});

test('groups are snapshotted where that is asked for and the cluster has the CRDs, and only there', async () => {
  const told = async (groupSnapshots: string, apis: readonly string[]) => {
    const rendered = await render({ roots: ['/gpfs/fs1/csi'], groupSnapshots }, { apis });
    const text = rendered.ok ? rendered.text : '';
    const [, gate] = /CSIVolumeGroupSnapshot=(\w+)/.exec(text) ?? [];
    return [
      gate,
      text.includes('kind: VolumeGroupSnapshotClass'),
      text.includes('volumegroupsnapshot'),
    ];
  };
  const off = ['false', false, false];
  const on = ['true', true, true];
  const both = [snapshotApi, groupSnapshotApi];
  expect(await told('never', both)).toEqual(off);
  expect(await told('auto', [snapshotApi])).toEqual(off);
  expect(await told('auto', both)).toEqual(on);
  expect(await told('always', [snapshotApi])).toEqual(on);
  expect(await told('auto', [groupSnapshotApi])).toEqual([undefined, false, false]);
});
