import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { goTool, helmTool } from '../support/tools/go-tool.ts';

export const chart = join(import.meta.dirname, '../../charts/gpfs-csi');

/** Values of the chart, as helm reads them from a file. */
export type Values = Readonly<Record<string, unknown>>;

/** One object of the API, read from a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** What helm said: its manifests, or why it refused. */
export type Rendered =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

export interface RenderOptions {
  readonly release?: string;
  readonly namespace?: string;
  /** API versions that the cluster serves besides Kubernetes' own. */
  readonly apis?: readonly string[];
}

export const snapshotApi = 'snapshot.storage.k8s.io/v1';
export const groupSnapshotApi = 'groupsnapshot.storage.k8s.io/v1';
export const openshiftApi = 'security.openshift.io/v1';

const rendered = new Map<string, Promise<Rendered>>();

/** `helm template` with these values; asked for again, the same answer. */
export function render(values: Values, options: RenderOptions = {}): Promise<Rendered> {
  const key = JSON.stringify([values, options]);
  const answer = rendered.get(key) ?? template(values, options);
  rendered.set(key, answer);
  return answer;
}

function template(values: Values, options: RenderOptions): Promise<Rendered> {
  const { release = 'gpfs-csi', namespace = 'gpfs-csi', apis = [snapshotApi] } = options;
  return withValues(values, (file) =>
    helm([
      'template',
      release,
      chart,
      '--namespace',
      namespace,
      '--values',
      file,
      ...apis.flatMap((api) => ['--api-versions', api]),
    ]),
  );
}

/** `helm template` for an upgrade of the release gpfs-csi, with what it looks up in a cluster. */
export const onCluster = (server: string, values: Values): Promise<Rendered> =>
  withValues(values, (file) => {
    const place = ['--namespace', 'gpfs-csi', '--kube-apiserver', server];
    const how = [
      '--dry-run=server',
      '--is-upgrade',
      '--disable-openapi-validation',
      '--values',
      file,
    ];
    return helm(['template', 'gpfs-csi', chart, ...place, ...how]);
  });

/** `helm lint --strict` with these values. */
export const lint = (values: Values): Promise<Rendered> =>
  withValues(values, (file) => helm(['lint', '--strict', '--quiet', chart, '--values', file]));

/** The manifests that values render to; throws helm's reason where it refuses them. */
export async function manifests(values: Values, options?: RenderOptions): Promise<Manifest[]> {
  const answer = await render(values, options);
  if (!answer.ok) throw new Error(answer.why);
  return parseManifests(answer.text);
}

/** The objects in YAML of several documents. */
export function parseManifests(text: string): Manifest[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error) throw error;
    const value = document.toJS() as Manifest | null;
    return value === null ? [] : [value];
  });
}

async function withValues(
  values: Values,
  action: (file: string) => Promise<Rendered>,
): Promise<Rendered> {
  const folder = await mkdtemp(join(tmpdir(), 'chart-'));
  try {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(values));
    return await action(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const execute = promisify(execFile);

async function helm(args: readonly string[]): Promise<Rendered> {
  const program = await goTool(helmTool);
  try {
    const { stdout } = await execute(program, args, { maxBuffer: 2 ** 26, timeout: 60_000 });
    return { ok: true, text: stdout };
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    if (stderr === undefined) throw error;
    return { ok: false, why: `${stdout ?? ''}${stderr}` };
  }
}
