import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** How long the first download may take on a busy machine. */
export const prometheusLimitMs = 5 * 60_000;

/**
 * The path of a program of Debian's package prometheus. The first time it is downloaded with apt-get, and unpacked into
 * the cache of the project: installed, it would start a server.
 */
export async function prometheusTool(program: 'promtool' | 'prometheus'): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gpfs-csi');
  const folder = join(cache, 'prometheus');
  const file = join(folder, 'usr', 'bin', program);
  if (await isExecutable(file)) return file;
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(join(cache, 'draft-'));
  try {
    await unpackInto(draft);
    // Test files run side by side: the first one that is finished has its folder in place.
    await rename(join(draft, 'out'), folder).catch(async (error: unknown) => {
      if (!(await isExecutable(file))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return file;
}

async function unpackInto(draft: string): Promise<void> {
  const download = () => apt(draft, 'download', 'prometheus');
  await download().catch(async () => {
    await apt(draft, 'update');
    await download();
  });
  const script = 'exec dpkg-deb -x prometheus_*.deb out';
  await execute('sh', ['-c', script], { cwd: draft, timeout: prometheusLimitMs });
}

const apt = (cwd: string, ...args: readonly string[]) =>
  execute('apt-get', ['-q', ...args], { cwd, timeout: prometheusLimitMs });

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
