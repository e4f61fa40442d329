import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask, findProgram, Refusal, say } from '../ensure/run.mjs';
import { npm, pinnedNode, unpackPinned } from './pinned.mjs';

// A base for machines that reach no registry of images: Debian by debootstrap, Node, and npm, each
// checked against a signature or a sum. It is made once and stays in buildah's store.

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The name of the local base; makes it when it is not there. */
export async function localBase(buildah, scratch) {
  const codename = debianRelease();
  const node = pinnedNode(root);
  // Another pin is another base.
  const sums = createHash('sha256').update(`${node.integrity} ${npm.integrity}`).digest('hex');
  const name = `localhost/node:${node.version}-${codename}-${sums.slice(0, 12)}`;
  if (buildah.ask('inspect', '--type', 'image', name) !== undefined) return name;
  say(`making ${name} with debootstrap`);
  const rootfs = join(scratch, 'rootfs');
  debootstrap(codename, rootfs);
  await addNode(rootfs, node, scratch);
  commit(buildah, rootfs, name);
  rmSync(rootfs, { recursive: true, force: true });
  return name;
}

// The build uses this machine's lists of packages, so it has to be the same release.
function debianRelease() {
  const text = readFileSync('/etc/os-release', 'utf8');
  const field = (name) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1];
  const codename = field('VERSION_CODENAME');
  if (field('ID') === 'debian' && codename !== undefined && findProgram('debootstrap'))
    return codename;
  throw new Refusal(
    'without --base this needs a Debian machine with debootstrap: install it, or name a base image',
  );
}

function debootstrap(codename, rootfs) {
  const format = ['--format', '$(REPO_URI)', `Codename: ${codename}`];
  const source = ask('apt-get', ['indextargets', ...format])?.split('\n')[0];
  if (!source) throw new Refusal(`apt knows no source of ${codename}: run apt-get update first`);
  // Without the option it goes on where it cannot check the signature of the release.
  const args = ['--force-check-gpg', '--variant=minbase', codename, rootfs, source];
  execFileSync('debootstrap', args, { stdio: ['ignore', 'ignore', 2] });
  for (const waste of [
    'var/cache/apt',
    'var/lib/apt/lists',
    'var/log',
    'usr/share/man',
    'usr/share/locale',
  ])
    rmSync(join(rootfs, waste), { recursive: true, force: true });
  for (const folder of ['var/cache/apt/archives/partial', 'var/lib/apt/lists/partial', 'var/log'])
    mkdirSync(join(rootfs, folder), { recursive: true });
  // debootstrap copies what this machine has in them.
  for (const file of ['resolv.conf', 'hostname', 'apt/sources.list'])
    writeFileSync(join(rootfs, 'etc', file), '');
}

async function addNode(rootfs, node, scratch) {
  const local = join(rootfs, 'usr', 'local');
  const unpacked = await unpackPinned(node, join(scratch, 'node'));
  copyFileSync(join(unpacked, 'bin', 'node'), join(local, 'bin', 'node'));
  const modules = join(local, 'lib', 'node_modules');
  mkdirSync(modules, { recursive: true });
  cpSync(await unpackPinned(npm, join(scratch, 'npm')), join(modules, 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin', 'npm'));
  symlinkSync('../lib/node_modules/npm/bin/npx-cli.js', join(local, 'bin', 'npx'));
}

function commit(buildah, rootfs, name) {
  const container = buildah.ask('from', 'scratch');
  buildah.run('add', '--quiet', container, rootfs, '/');
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  buildah.run('config', '--env', path, container);
  buildah.run('commit', '--quiet', '--rm', container, name);
}
