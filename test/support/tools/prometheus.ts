import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** How long the first download may take on a busy machine. */
export const prometheusLimitMs = 5 * 60_000;

/** Debian's packages that may have a program, the likelier first: from Debian 13 on promtool has one of its own. */
const packages = { promtool: ['promtool', 'prometheus'], prometheus: ['prometheus'] } as const;

type Program = keyof typeof packages;

/**
 * The path of a program of Prometheus. The first time its package is downloaded with apt-get, and unpacked into the
 * cache of the project: installed, it would start a server.
 */
export async function prometheusTool(program: Program): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gpfs-csi');
  const folder = join(cache, program);
  const file = join(folder, 'usr', 'bin', program);
  if (await isExecutable(file)) return file;
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(join(cache, 'draft-'));
  try {
    await unpackInto(draft, program);
    // Test files run side by side: the first one that is finished has its folder in place.
    await rename(join(draft, 'out'), folder).catch(async (error: unknown) => {
      if (!(await isExecutable(file))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return file;
}

async function unpackInto(draft: string, program: Program): Promise<void> {
  const download = () => downloadOne(draft, packages[program]);
  await download().catch(async () => {
    await apt(draft, 'update');
    await download();
  });
  const script = 'exec dpkg-deb -x *.deb out';
  await execute('sh', ['-c', script], { cwd: draft, timeout: prometheusLimitMs });
}

/** Downloads the first of these packages that there is. */
async function downloadOne(draft: string, [name, ...others]: readonly string[]): Promise<void> {
  if (name === undefined) throw new Error('apt-get has no package of Prometheus');
  await apt(draft, 'download', name).catch(async (error: unknown) => {
    if (others.length === 0) throw error;
    await downloadOne(draft, others);
  });
}

const apt = (cwd: string, ...args: readonly string[]) =>
  execute('apt-get', ['-q', ...args], { cwd, timeout: prometheusLimitMs });

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
