import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, complete, findProgram, Refusal, timed } from './run.mjs';

/** Installs what package-lock.json names, unless it is there, and makes src/wire from proto/. */
export async function ensurePackages(root) {
  if (!isInstalled(root)) await npmCi(root, ['npm']);
  // npm leaves out an optional package that needs a newer Node than npm runs on. Ours, which is there now, is new enough.
  if (!isInstalled(root)) await npmCiByOwnNode(root);
  linkNode(root);
  if (!isWireFresh(root)) {
    const script = join(root, 'scripts', 'proto.mjs');
    const { ok, output } = await complete(process.execPath, [script], { cwd: root });
    if (!ok) throw new Refusal(`src/wire could not be made from proto/:\n${output.trimEnd()}`);
  }
}

/** npm removes what it installed before, its own Node among it: so it runs on a copy. */
async function npmCiByOwnNode(root) {
  const folder = mkdtempSync(join(tmpdir(), 'gpfs-csi-node-'));
  try {
    const node = join(folder, 'node');
    copyFileSync(join(root, 'node_modules', ownNode()), node);
    await npmCi(root, [node, realpathSync(findProgram('npm'))]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (!isInstalled(root)) {
    throw new Refusal('npm ci left out packages for this machine: use a newer Node and npm');
  }
}

/** `program` and `first` are the command line of npm. */
async function npmCi(root, [program, ...first]) {
  if (findProgram('npm') === undefined) {
    throw new Refusal('npm is missing: install the npm that belongs to this Node');
  }
  // Nothing that we use of a package needs its install script, and the settings of the machine may leave
  // out what is for development.
  const what = ['--ignore-scripts', '--include=dev', '--include=optional'];
  const args = ['ci', ...what, '--no-audit', '--no-fund', '--loglevel=error'];
  const { ok, output } = await timed('installing npm packages into node_modules: npm ci', () =>
    complete(program, [...first, ...args], { cwd: root }),
  );
  if (!ok) throw new Refusal(`npm ci failed:\n${output.trimEnd()}`);
  if (!hasOwnNode(root)) {
    throw new Refusal(
      `npm ci gave no Node for ${process.arch} in node_modules: this needs an x64 or arm64 machine with glibc`,
    );
  }
}

/** npm keeps a list of what it installed; each package of the lock file must be in it, as it is. */
function isInstalled(root) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || present === undefined) return false;
  const isOurs = ([path, entry]) => path !== '' && (!entry.optional || isForThisMachine(entry));
  const needed = Object.entries(wanted).filter(isOurs);
  const same = ([path, { version }]) => present[path]?.version === version;
  return needed.every(same) && hasOwnNode(root);
}

/** A package of several, one for each kind of machine; all of Debian and Ubuntu has glibc. */
export function isForThisMachine({ os = [], cpu = [], libc = 'glibc' }) {
  const has = (list, word) => [list].flat().includes(word);
  return has(os, 'linux') && has(cpu, process.arch) && has(libc, 'glibc');
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** The Node that the project runs on; each architecture has a package of its own. */
const ownNode = () => join(`node-linux-${process.arch}`, 'bin', 'node');

const hasOwnNode = (root) =>
  ask(join(root, 'node_modules', ownNode()), ['--version']) !== undefined;

// All of these packages bring a program `node`. npm 9 takes the link of ours away with those that do not fit.
function linkNode(root) {
  const link = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(link)) return;
  rmSync(link, { force: true });
  symlinkSync(join('..', ownNode()), link);
}

// A checkout of another commit brings another interface without an install.
function isWireFresh(root) {
  const made = join(root, 'src', 'wire', 'types.ts');
  if (!existsSync(made)) return false;
  const protos = readdirSync(join(root, 'proto'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const sources = [...protos, join(root, 'scripts', 'proto.mjs')];
  return sources.every((file) => statSync(file).mtimeMs <= statSync(made).mtimeMs);
}
