import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { sh } from '../setup/shell.ts';

/** An image of one layer. */
export interface Image {
  /** The names it goes by, each with its tag. */
  readonly names: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const oci = 'application/vnd.oci.image';
const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };

/** Packs a folder into an archive that `ctr images import` takes. */
export async function packImage(folder: string, file: string, image: Image): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const work = await mkdtemp(`${file}.`);
  try {
    const blobs = join(work, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true });
    const layer = join(work, 'layer');
    const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name', '--mtime=@0'];
    await sh(['tar', ...owner, '-C', folder, '-cf', layer, '.']);
    const content = await store(blobs, layer, `${oci}.layer.v1.tar`);
    const config = await storeJson(work, blobs, `${oci}.config.v1+json`, {
      ...platform,
      config: {
        Env: ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        ...(image.entrypoint === undefined ? {} : { Entrypoint: image.entrypoint }),
        ...(image.command === undefined ? {} : { Cmd: image.command }),
      },
      rootfs: { type: 'layers', diff_ids: [content.digest] },
    });
    const manifest = await storeJson(work, blobs, `${oci}.manifest.v1+json`, {
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config,
      layers: [content],
    });
    await writeIndex(work, manifest, image.names);
    const archive = join(work, 'archive');
    await sh(['tar', '-C', work, '-cf', archive, 'oci-layout', 'index.json', 'blobs']);
    await rename(archive, file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeIndex(
  work: string,
  manifest: Descriptor,
  names: readonly string[],
): Promise<void> {
  const manifests = names.map((name) => ({
    ...manifest,
    platform,
    annotations: { 'io.containerd.image.name': name },
  }));
  await writeFile(join(work, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(work, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

async function storeJson(
  work: string,
  blobs: string,
  mediaType: string,
  value: unknown,
): Promise<Descriptor> {
  const file = join(work, 'json');
  await writeFile(file, JSON.stringify(value));
  return store(blobs, file, mediaType);
}

async function store(blobs: string, file: string, mediaType: string): Promise<Descriptor> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const hex = hash.digest('hex');
  const { size } = await stat(file);
  await rename(file, join(blobs, hex));
  return { mediaType, digest: `sha256:${hex}`, size };
}
