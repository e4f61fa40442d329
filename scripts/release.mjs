// Builds what a release publishes, and with --push publishes it. The last line it prints is JSON: what was
// made, and by which digests it is known. RELEASING.md says what comes before and after.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { goTool, helmTool } from '../test/support/tools/go-tool.ts';
import { ask, findProgram, Refusal, say } from './ensure/run.mjs';
import { digestOf, fileIn, revisionOf } from './release/archive.mjs';
import { unfitness, withImage } from './release/checks.mjs';
import { krewManifest } from './release/krew.mjs';

const usage = `usage: npm run release -- [--out DIRECTORY] [--base IMAGE@DIGEST] [--push PLACE] [--plain-http]

  --out DIRECTORY       where it goes; default dist/release
  --base IMAGE@DIGEST   base of the image; without it a local one is made, which cannot be published
  --push PLACE          registry and path to publish in, as in example.org/storage
  --plugin-uri URI      where the archive of the kubectl plugin will lie: makes gpfs.yaml for krew
  --plain-http          the registry has no TLS: for trying it with one on this machine`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => readFileSync(join(root, path), 'utf8');
// As registries call it.
const arch = process.arch === 'x64' ? 'amd64' : process.arch;
const git = (...args) => ask('git', ['-C', root, ...args])?.trim();

function readArguments() {
  const options = {
    out: { type: 'string', default: join(root, 'dist', 'release') },
    base: { type: 'string' },
    push: { type: 'string' },
    'plugin-uri': { type: 'string' },
    'plain-http': { type: 'boolean', default: false },
  };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Refusal(`${error.message}\n${usage}`, 2);
  }
}

/** A trial may be unfit, and says so; what is published may not. */
function checkFitness(version, { base, push }) {
  const reasons = unfitness({
    version,
    chart: read('charts/gpfs-csi/Chart.yaml'),
    changelog: read('CHANGELOG.md'),
    tag: git('describe', '--tags', '--exact-match'),
    changes: git('status', '--porcelain') ?? 'this is no git checkout',
    base,
  });
  if (push === undefined) {
    for (const reason of reasons) say(`this is a trial, because ${reason}`);
    return;
  }
  if (reasons.length > 0) throw new Refusal(`nothing is published:\n${reasons.join('\n')}`);
  if (findProgram('skopeo') === undefined) throw new Refusal('skopeo is missing: install it');
}

/** Runs a program that shows its progress, and resolves to its answer. */
const run = (program, args) =>
  execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });

function buildImage(tag, version, { out, base }) {
  const archive = join(out, `gpfs-csi-${version}-${arch}.oci.tar`);
  const from = base === undefined ? [] : ['--base', base];
  run('node', ['scripts/image.mjs', '--tag', tag, '--out', archive, ...from]);
  const revision = revisionOf(archive);
  if (revision !== git('rev-parse', 'HEAD'))
    throw new Refusal(`the image says it is of commit ${revision}, and this is another one`);
  return { archive, digest: digestOf(archive), revision };
}

function packageChart(helm, { repository, digest }, out) {
  const scratch = join(out, 'chart');
  cpSync(join(root, 'charts', 'gpfs-csi'), scratch, { recursive: true });
  const values = join(scratch, 'values.yaml');
  writeFileSync(values, withImage(readFileSync(values, 'utf8'), repository, digest));
  const answer = run(helm, ['package', scratch, '--destination', out]);
  rmSync(scratch, { recursive: true });
  return /saved it to: (.+)$/m.exec(answer)?.[1];
}

/** The kubectl plugin as an archive, and its manifest for krew where the archive's address is known. */
function packagePlugin(version, out, uri) {
  const scratch = join(out, 'plugin');
  run('node', ['scripts/build.mjs', scratch]);
  for (const name of ['package.json', 'LICENSE']) cpSync(join(root, name), join(scratch, name));
  const archive = join(out, `kubectl-gpfs-${version}.tar.gz`);
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0'];
  const files = ['LICENSE', 'kubectl-gpfs.js', 'package.json'];
  run('tar', ['-czf', archive, ...same, '-C', scratch, ...files]);
  rmSync(scratch, { recursive: true });
  if (uri === undefined) return;
  const manifest = krewManifest(read('deploy/krew/gpfs.yaml'), { version, archive, uri });
  writeFileSync(join(out, 'gpfs.yaml'), manifest);
}

function pushImage(archive, tag, plain) {
  const tls = plain ? ['--dest-tls-verify=false'] : [];
  run('skopeo', [
    'copy',
    '--preserve-digests',
    ...tls,
    `oci-archive:${archive}`,
    `docker://${tag}`,
  ]);
}

/** Publishes the chart, and returns its digest. */
function pushChart(helm, file, place, plain) {
  const args = ['push', file, `oci://${place}`, ...(plain ? ['--plain-http'] : [])];
  // helm prints the digest to one stream or the other, by its version.
  const answer = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', helm, ...args], { encoding: 'utf8' });
  const digest = /Digest: (sha256:[0-9a-f]{64})/.exec(answer)?.[1];
  if (digest === undefined) throw new Refusal(`helm named no digest of the chart:\n${answer}`);
  return digest;
}

function writeSums(out) {
  const names = readdirSync(out).filter((name) => name !== 'SHA256SUMS');
  const line = (name) => {
    const sum = createHash('sha256').update(readFileSync(join(out, name)));
    return `${sum.digest('hex')}  ${name}\n`;
  };
  writeFileSync(join(out, 'SHA256SUMS'), names.sort().map(line).join(''));
}

async function main() {
  const options = { ...readArguments() };
  options.out = resolve(options.out);
  const { version } = JSON.parse(read('package.json'));
  checkFitness(version, options);
  rmSync(options.out, { recursive: true, force: true });
  mkdirSync(options.out, { recursive: true });
  const { out, push, 'plain-http': plain } = options;
  const repository = `${push ?? 'localhost'}/gpfs-csi`;
  const tag = `${repository}:${version}`;
  const { archive, digest, revision } = buildImage(tag, version, options);
  const sbom = `gpfs-csi-${version}-${arch}.cdx.json`;
  writeFileSync(join(out, sbom), fileIn(archive, 'opt/gpfs-csi/sbom.cdx.json'));
  const helm = await goTool(helmTool);
  const chartFile = packageChart(helm, { repository, digest }, out);
  packagePlugin(version, out, options['plugin-uri']);
  const made = {
    version,
    revision,
    image: repository,
    imageDigest: digest,
    sbom,
  };
  if (push !== undefined) {
    pushImage(archive, tag, plain);
    made.chart = `${push}/charts/gpfs-csi`;
    made.chartDigest = pushChart(helm, chartFile, `${push}/charts`, plain);
  }
  writeFileSync(join(out, 'release.json'), `${JSON.stringify(made, null, 2)}\n`);
  writeSums(out);
  console.log(JSON.stringify(made));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`gpfs-csi: ${error.message}`);
  process.exit(error.status);
}
