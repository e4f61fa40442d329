import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cache } from './places.ts';
import { sh } from './shell.ts';

/** The Go modules in tools/ and what is built from each. */
type Module = 'kubernetes' | 'sidecars' | 'provisioner';

interface Program {
  readonly name: string;
  readonly module: Module;
  readonly path: string;
  readonly version: string;
}

const kubernetesVersion = 'v1.37.2';
const sig = 'github.com/kubernetes-csi';

const kubernetes = (name: string): Program => ({
  name,
  module: 'kubernetes',
  path: `k8s.io/kubernetes/cmd/${name}`,
  version: kubernetesVersion,
});
const sidecar = (name: string, repository: string, version: string, module: Module): Program => ({
  name,
  module,
  path: `${sig}/${repository}/${version.split('.')[0] ?? ''}/cmd/${name}`,
  version,
});

/** The programs that run as images of their own in the cluster. */
export const sidecars = [
  sidecar('csi-provisioner', 'external-provisioner', 'v6.3.0', 'provisioner'),
  sidecar('csi-attacher', 'external-attacher', 'v4.13.0', 'sidecars'),
  sidecar('csi-snapshotter', 'external-snapshotter', 'v8.7.0', 'sidecars'),
  sidecar('snapshot-controller', 'external-snapshotter', 'v8.7.0', 'sidecars'),
  sidecar('csi-resizer', 'external-resizer', 'v2.3.0', 'sidecars'),
] as const;

const programs: readonly Program[] = [
  ...['kube-apiserver', 'kube-controller-manager', 'kubelet', 'kube-scheduler'].map(kubernetes),
  ...['kubectl', 'kube-proxy'].map(kubernetes),
  ...sidecars,
];

/** The folder of Kubernetes' own programs. */
export const kubernetesFolder = join(cache, `kubernetes-${kubernetesVersion}`);

/** Where a program lies, built or not. */
export const programFile = ({ name, module, version }: Program): string =>
  module === 'kubernetes' ? join(kubernetesFolder, name) : join(cache, `${name}-${version}`, name);

/** Builds what the cache lacks, a Go module at a time; resolves to how many programs that were. */
export async function buildPrograms(say: (line: string) => void): Promise<number> {
  const there = await Promise.all(programs.map((program) => isFile(programFile(program))));
  const missing = programs.filter((_, n) => there[n] !== true);
  for (const module of ['kubernetes', 'provisioner', 'sidecars'] as const) {
    const wanted = missing.filter((program) => program.module === module);
    if (wanted.length === 0) continue;
    const start = performance.now();
    await build(module, wanted);
    const names = wanted.map(({ name }) => name).join(', ');
    say(`  built in ${((performance.now() - start) / 1000).toFixed(0)} s: ${names}`);
  }
  return missing.length;
}

/** The module's folder in the module cache, for the files it has beside its programs. */
export async function moduleFolder(module: Module, path: string): Promise<string> {
  const out = await go(module, ['list', '-m', '-f', '{{.Dir}}', path]);
  return out.trim();
}

// One build for all that a module gives: they share most of their packages, and links take turns.
async function build(module: Module, wanted: readonly Program[]): Promise<void> {
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(join(cache, 'build-'));
  const flags = module === 'kubernetes' ? versionFlags() : [];
  const ldflags = ['-s', '-w', ...flags].join(' ');
  const paths = wanted.map(({ path }) => path);
  try {
    await go(module, ['build', '-trimpath', '-ldflags', ldflags, '-o', `${draft}/`, ...paths]);
    for (const program of wanted) {
      await mkdir(dirname(programFile(program)), { recursive: true });
      await rename(join(draft, program.name), programFile(program));
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

// kubelet and the API server refuse to work with a version that they cannot read.
function versionFlags(): readonly string[] {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? [];
  const values = {
    gitVersion: kubernetesVersion,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
  };
  const places = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return places.flatMap((place) =>
    Object.entries(values).map(([key, value]) => `-X ${place}.${key}=${value}`),
  );
}

/** Runs go in one of the modules of tools/. */
export const go = (module: string, args: readonly string[]): Promise<string> =>
  sh(['go', ...args], {
    cwd: join(import.meta.dirname, '..', 'tools', module),
    // Static programs run in an image that has nothing else.
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
    limitMs: 60 * 60_000,
  });

const isFile = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
