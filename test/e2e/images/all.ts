import { copyFile, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { cache, checkout, driverImage, podImage } from '../setup/places.ts';
import { go, programFile, sidecars } from '../setup/programs.ts';
import { sh } from '../setup/shell.ts';
import { packImage } from './archive.ts';
import { makeOlder } from './older.ts';

const folder = join(cache, 'images');

/** Names under which the examples of deploy/ ask for a shell. */
const exampleImages = ['docker.io/library/busybox:1.37'];

/** The sandbox of each pod. */
export const pauseImage = 'localhost/pause:1';

/** The name of a sidecar's image, as the values of a chart have it. */
export const sidecarImage = (
  name: string,
): { readonly registry: string; readonly repository: string; readonly tag: string } => ({
  registry: 'localhost',
  repository: name,
  tag: sidecars.find((each) => each.name === name)?.version ?? '',
});

/** Makes the missing images, and always the driver's; resolves to the archives. */
export async function makeImages(say: (line: string) => void): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const small = await Promise.all([pause(), shell(), ...sidecars.map(sidecarArchive)]);
  return [...small, await driver(say), await olderDriver(say)];
}

// An image is made again when something it is made from is newer.
async function unlessNewer(
  file: string,
  sources: readonly string[],
  make: (work: string) => Promise<void>,
): Promise<string> {
  const made = await stat(file).catch(() => undefined);
  const times = await Promise.all(sources.map(async (each) => (await stat(each)).mtimeMs));
  if (made !== undefined && times.every((time) => time <= made.mtimeMs)) return file;
  const work = await mkdtemp(join(tmpdir(), 'gpfs-csi-image-'));
  try {
    await make(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return file;
}

const pause = (): Promise<string> => {
  const file = join(folder, 'pause.tar');
  const source = join(import.meta.dirname, '..', 'tools', 'pause', 'main.go');
  return unlessNewer(file, [source], async (work) => {
    await go('pause', ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(work, 'pause'), '.']);
    await packImage(work, file, { names: [pauseImage], entrypoint: ['/pause'] });
  });
};

const shell = (): Promise<string> => {
  const file = join(folder, 'busybox.tar');
  return unlessNewer(file, ['/bin/busybox'], async (work) => {
    for (const each of [
      'bin',
      'etc',
      'tmp',
      'root',
      'dev',
      'proc',
      'sys',
      'usr/bin',
      'usr/sbin',
      'sbin',
    ])
      await mkdir(join(work, each), { recursive: true });
    await copyFile('/bin/busybox', join(work, 'bin', 'busybox'));
    const applets = (await sh(['/bin/busybox', '--list'])).split('\n');
    const others = applets.filter((name) => name !== '' && name !== 'busybox');
    for (const name of others) await symlink('busybox', join(work, 'bin', name));
    await writeFile(join(work, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    await writeFile(join(work, 'etc', 'group'), 'root:x:0:\n');
    await packImage(work, file, { names: [podImage, ...exampleImages], command: ['sh'] });
  });
};

const sidecarArchive = (program: (typeof sidecars)[number]): Promise<string> => {
  const { registry, repository, tag } = sidecarImage(program.name);
  const file = join(folder, `${program.name}-${tag}.tar`);
  return unlessNewer(file, [programFile(program)], async (work) => {
    await copyFile(programFile(program), join(work, program.name));
    // The sidecars speak TLS to the API server with the cluster's own authority, and keep files here.
    await mkdir(join(work, 'tmp'), { mode: 0o1777 });
    await packImage(work, file, {
      names: [`${registry}/${repository}:${tag}`],
      entrypoint: [`/${program.name}`],
    });
  });
};

const nameOf = (tag: string): string => `${driverImage.repository}:${tag}`;

async function driver(say: (line: string) => void): Promise<string> {
  const file = join(folder, 'gpfs-csi.tar');
  say(`  the driver's image: ${await buildDriver(nameOf(driverImage.tag), file)}`);
  return file;
}

async function olderDriver(say: (line: string) => void): Promise<string> {
  const older = await makeOlder(nameOf(driverImage.olderTag));
  if (older !== undefined) {
    say(`  the older driver's image: from commit ${older.commit}`);
    return older.archive;
  }
  say(`  this clone lacks the history of the older driver: the upgrade is from this one to itself`);
  const file = join(folder, 'gpfs-csi-again.tar');
  await buildDriver(nameOf(driverImage.olderTag), file);
  return file;
}

// What a node has to pull and keep is part of what the driver costs.
const largestBytes = 300e6;

/** Resolves to how large the image is, in words. */
async function buildDriver(name: string, file: string): Promise<string> {
  const script = join(checkout, 'scripts', 'image.mjs');
  const out = await sh([process.execPath, script, '--tag', name, '--out', file], {
    cwd: checkout,
    limitMs: 20 * 60_000,
  });
  const { unpackedBytes, archiveBytes } = built.parse(
    JSON.parse(out.trim().split('\n').at(-1) ?? ''),
  );
  const size = `${megabytes(unpackedBytes)} unpacked, ${megabytes(archiveBytes)} as an archive`;
  if (unpackedBytes > largestBytes)
    throw new Error(`${name} is too large: ${size}; at most ${megabytes(largestBytes)} unpacked`);
  return size;
}

const built = z.object({ unpackedBytes: z.number(), archiveBytes: z.number() });

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
