import { execFile } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A program of a Go module, in the version that the project uses. */
export interface GoTool {
  readonly program: string;
  /** The name of its folder in the cache, without the version. */
  readonly name: string;
  readonly source: string;
  readonly version: string;
}

export const csiSanityTool: GoTool = {
  program: 'csi-sanity',
  name: 'csi-test',
  source: 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity',
  version: 'v5.6.0',
};

export const helmTool: GoTool = {
  program: 'helm',
  name: 'helm',
  source: 'helm.sh/helm/v4/cmd/helm',
  version: 'v4.3.1',
};

export const kubeconformTool: GoTool = {
  program: 'kubeconform',
  name: 'kubeconform',
  source: 'github.com/yannh/kubeconform/cmd/kubeconform',
  version: 'v0.8.0',
};

export const actionlintTool: GoTool = {
  program: 'actionlint',
  name: 'actionlint',
  source: 'github.com/rhysd/actionlint/cmd/actionlint',
  version: 'v1.7.12',
};

/** How long the first build of a tool may take on a busy machine. */
export const goToolLimitMs = 15 * 60_000;

const execute = promisify(execFile);
const env = { ...process.env, GOFLAGS: '-mod=mod' };

/** The path of a tool. Go builds it the first time; then the cache has it. */
export async function goTool({ program, name, source, version }: GoTool): Promise<string> {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const folder = join(cache, 'gpfs-csi', 'bin', `${name}-${version}`);
  const file = join(folder, program);
  if (await isExecutable(file)) return file;
  await mkdir(folder, { recursive: true });
  // `go install` puts the finished program in place by a rename, so a broken build leaves none. Test
  // files run side by side; the lock has one of them build, and the others find it built.
  await execute('flock', [folder, 'go', 'install', `${source}@${version}`], {
    env: { ...env, GOBIN: folder, CGO_ENABLED: '0' },
    timeout: goToolLimitMs,
  });
  return file;
}

/** The folder with the sources of a module, as `path@version`. */
export async function goModule(module: string): Promise<string> {
  const { stdout } = await execute('go', ['mod', 'download', '-json', module], {
    env,
    timeout: goToolLimitMs,
  });
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
