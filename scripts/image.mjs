// Builds the image of the driver with buildah and writes it to an OCI archive. The last line it
// prints is JSON: what was built, where, and how large it is.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ask, findProgram, Refusal, say, stop } from './ensure/run.mjs';
import { localBase } from './image/base.mjs';
import { npmSettings } from './image/npm.mjs';

const usage = `usage: node scripts/image.mjs [--tag NAME] [--out FILE] [--base IMAGE]

  --tag NAME    name of the image; default localhost/gpfs-csi:dev
  --out FILE    OCI archive; default in the cache folder
  --base IMAGE  Debian with Node 24, npm and apt, as NAME@sha256:DIGEST; default is made here with
                debootstrap, once`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gpfs-csi', 'image');

function readArguments() {
  const options = {
    tag: { type: 'string', default: 'localhost/gpfs-csi:dev' },
    out: { type: 'string' },
    base: { type: 'string' },
  };
  const values = parse(options);
  // A tag may mean another image tomorrow. An image of this machine came from no registry.
  if (!/^localhost\/|@sha256:[0-9a-f]{64}$/.test(values.base ?? 'localhost/')) {
    throw new Refusal(`--base ${values.base} names no digest: give it as IMAGE@sha256:DIGEST`, 2);
  }
  return values;
}

function parse(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Refusal(`${error.message}\n${usage}`, 2);
  }
}

function checkMachine() {
  if (process.getuid() !== 0) throw new Refusal('this needs root: run it with sudo');
  if (findProgram('buildah') === undefined) {
    throw new Refusal('buildah is missing: install the package buildah, and debootstrap with it');
  }
}

/** buildah with folders of its own, so that it finds and leaves nothing elsewhere. */
function buildahIn(folder) {
  const places = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  const common = [...places, '--storage-driver', 'overlay'];
  return {
    run: (...args) => {
      // What a build prints is progress: the answer of this program goes to stdout alone.
      execFileSync('buildah', [...common, ...args], { stdio: ['ignore', 2, 2] });
    },
    ask: (...args) => ask('buildah', [...common, ...args])?.trim(),
  };
}

function build({ tag, base }, buildah, settings) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const revision = ask('git', ['-C', root, 'rev-parse', 'HEAD'])?.trim() ?? '';
  const values = { BASE: base, VERSION: version, REVISION: revision };
  buildah.run(
    ...['build', '--isolation', 'chroot', '--layers', '--tag', tag],
    ...Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    // Said here as well: buildah takes the labels of the Dockerfile from its cache, with the values of another commit.
    ...['version', 'revision'].flatMap((name) => [
      '--label',
      `org.opencontainers.image.${name}=${values[name.toUpperCase()]}`,
    ]),
    ...settings.flatMap(([from, to]) => ['--volume', `${from}:${to}:ro`]),
    root,
  );
}

function writeArchive({ tag, out }, buildah, scratch) {
  const archive = resolve(out ?? join(cache, `${tag.replaceAll(/[^a-z0-9.-]+/gi, '-')}.tar`));
  const draft = join(scratch, 'image.tar');
  buildah.run('push', '--quiet', tag, `oci-archive:${draft}:${tag}`);
  mkdirSync(dirname(archive), { recursive: true });
  execFileSync('cp', [draft, `${archive}.new`]);
  renameSync(`${archive}.new`, archive);
  return archive;
}

function unpackedBytes(tag, buildah) {
  const container = buildah.ask('from', '--pull-never', tag);
  const mounted = buildah.ask('mount', container);
  const bytes = ask('du', ['--summarize', '--bytes', mounted]);
  buildah.ask('rm', container);
  return Number.parseInt(bytes, 10);
}

async function main() {
  const options = readArguments();
  checkMachine();
  mkdirSync(cache, { recursive: true });
  const buildah = buildahIn(cache);
  const scratch = mkdtempSync(join(cache, 'build-'));
  try {
    const base = options.base ?? (await localBase(buildah, scratch));
    // A registry's base finds its way by itself; ours takes this machine's.
    const settings = options.base ? [] : [...npmSettings(scratch), ['/etc/apt', '/etc/apt']];
    say(`building ${options.tag} on ${base}`);
    build({ ...options, base }, buildah, settings);
    const archive = writeArchive(options, buildah, scratch);
    const unpacked = unpackedBytes(options.tag, buildah);
    const archived = statSync(archive).size;
    console.log(
      JSON.stringify({
        tag: options.tag,
        archive,
        unpackedBytes: unpacked,
        archiveBytes: archived,
      }),
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  stop(error);
}
