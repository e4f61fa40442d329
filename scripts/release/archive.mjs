import { execFileSync } from 'node:child_process';

const most = 256 * 1024 * 1024;
const member = (archive, path) => execFileSync('tar', ['-xOf', archive, path], { maxBuffer: most });
const blob = (archive, digest) => member(archive, `blobs/${digest.replace(':', '/')}`);

/** The digest of the one image in an OCI archive: what a registry knows it by. */
export function digestOf(archive) {
  const { manifests } = JSON.parse(member(archive, 'index.json'));
  if (manifests.length !== 1) throw new Error(`${archive} holds ${manifests.length} images`);
  return manifests[0].digest;
}

/** The commit that the image says it is built from. */
export function revisionOf(archive) {
  const { config } = JSON.parse(blob(archive, digestOf(archive)));
  const { Labels: labels } = JSON.parse(blob(archive, config.digest)).config;
  return labels['org.opencontainers.image.revision'];
}

/** A file of that image, from the last layer that has it. */
export function fileIn(archive, path) {
  const { layers } = JSON.parse(blob(archive, digestOf(archive)));
  for (const { digest } of layers.reverse()) {
    const layer = blob(archive, digest);
    const names = execFileSync('tar', ['-tzf', '-'], { input: layer, maxBuffer: most });
    const name = names
      .toString()
      .split('\n')
      .find((each) => each.replace(/^\.?\//, '') === path);
    if (name === undefined) continue;
    return execFileSync('tar', ['-xzOf', '-', name], { input: layer, maxBuffer: most }).toString();
  }
  throw new Error(`the image in ${archive} has no ${path}`);
}
