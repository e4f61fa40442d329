// Makes the root of the image inside its build: the programs the driver runs, what they load, and
// the papers of the packages they come from. Everything is found, so no architecture is named.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { programs } from './programs.mjs';

const settings = ['/etc/mke2fs.conf', '/etc/debian_version', '/etc/os-release'];
const folders = ['/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const mountPoints = ['dev', 'proc', 'run', 'sys', 'tmp', 'var/lib'];

const [target] = process.argv.slice(2);
if (target === undefined) throw new Error('usage: node rootfs.mjs DIRECTORY');

function find(program) {
  const found = folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${program} is in none of ${folders.join(', ')}`);
  return found;
}

/** The libraries and the loader of a program: all that ldd gives a path of. */
const librariesOf = (program) =>
  execFileSync('ldd', [program], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(?:=>\s+|^\s+)(\/\S+) \(0x/.exec(line)?.[1] ?? []);

const kept = new Set();

/** Copies one file to where it really is, and every symbolic link on the way to it. */
function keep(path) {
  const real = join(realpathSync(dirname(path)), basename(path));
  if (kept.has(real)) return;
  kept.add(real);
  const copy = join(target, real);
  mkdirSync(dirname(copy), { recursive: true });
  if (lstatSync(real).isSymbolicLink()) {
    symlinkSync(readlinkSync(real), copy);
    keep(resolve(dirname(real), readlinkSync(real)));
  } else {
    copyFileSync(real, copy);
    // Everything runs as root already: nothing needs to become it.
    chmodSync(copy, lstatSync(real).mode & 0o777);
  }
}

/** /bin, /lib and the like are links into /usr. */
function linkTopLevel() {
  for (const { name } of readdirSync('/', { withFileTypes: true }).filter((e) =>
    e.isSymbolicLink(),
  ))
    symlinkSync(readlinkSync(`/${name}`), join(target, name));
}

/** The packages of these files. A list may still name a file by its path before /usr was merged. */
function packagesOf(paths) {
  const names = paths.flatMap((path) => [path, path.replace(/^\/usr(?=\/(?:s?bin|lib))/, '')]);
  // It fails when one path is unknown, and prints the owners of all others.
  const { stdout } = spawnSync('dpkg-query', ['-S', ...new Set(names)], { encoding: 'utf8' });
  const owners = stdout
    .split('\n')
    .flatMap((line) => /^([a-z0-9][^ :]*)[^ ]*: \//.exec(line)?.[1] ?? []);
  return [...new Set(owners)].sort();
}

/** The package's entry in the database, where scanners look for it, and its licence. */
function keepPapers(name) {
  const database = join(target, 'var/lib/dpkg/status.d');
  mkdirSync(database, { recursive: true });
  writeFileSync(join(database, name), execFileSync('dpkg-query', ['-s', name]));
  const licence = `/usr/share/doc/${name}/copyright`;
  if (existsSync(licence)) keep(realpathSync(licence));
}

/** 127 is the loader's answer when a library is missing. */
function requireRunnable(path) {
  const { status } = spawnSync('chroot', [target, path, '--version']);
  if (status === null || status > 125) throw new Error(`${path} does not run in the image`);
}

mkdirSync(target, { recursive: true });
linkTopLevel();
for (const folder of mountPoints) mkdirSync(join(target, folder), { recursive: true });
chmodSync(join(target, 'tmp'), 0o1777);
const paths = programs.map(find);
for (const path of [...paths, ...paths.flatMap(librariesOf), ...settings]) keep(path);
for (const name of packagesOf([...kept])) keepPapers(name);
writeFileSync(join(target, 'etc/passwd'), 'root:x:0:0:root:/:/nonexistent\n');
writeFileSync(join(target, 'etc/group'), 'root:x:0:\n');
mkdirSync(join(target, 'usr/local/bin'), { recursive: true });
symlinkSync('/opt/gpfs-csi/gpfs-csi.js', join(target, 'usr/local/bin/gpfs-csi'));
mkdirSync(join(target, 'opt/gpfs-csi'), { recursive: true });
for (const path of paths) requireRunnable(path);
console.log(`${target}: ${programs.length} programs, ${kept.size} files`);
