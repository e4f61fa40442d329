import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, complete, Refusal, say } from '../ensure/run.mjs';
import { npmSettings } from '../image/npm.mjs';
import { inside } from './run.mjs';

/** Bare systems: the name that debootstrap knows each by, and the Node that npm brings where it is not their own. */
export const systems = {
  debian12: { id: 'debian', codename: 'bookworm' },
  'debian12-npm': { id: 'debian', codename: 'bookworm', node: 'node@24' },
  debian13: { id: 'debian', codename: 'trixie' },
  ubuntu2404: { id: 'ubuntu', codename: 'noble' },
};

/** Makes a bare system with Node, npm and git in a folder; resolves to the environment of its commands. */
export async function installSystem(name, folder, mirror) {
  const { id, codename, node } = systems[name];
  say(`${name}: making a bare system of ${codename} in ${folder}`);
  const source = mirror ?? aptSource(id);
  const args = ['--force-check-gpg', '--variant=minbase', codename, folder, source];
  const made = await complete('debootstrap', args);
  if (!made.ok) throw new Refusal(`debootstrap failed:\n${made.output.trimEnd()}`);
  const env = copySettings(folder);
  const steps = [
    'apt-get -q update',
    'apt-get -q install -y --no-install-recommends nodejs npm git',
    ...(node === undefined ? [] : [`npm install --global --no-audit --no-fund ${node}`]),
  ];
  for (const step of steps) {
    say(`${name}: ${step}`);
    const { ok, output } = await complete(...inside(folder, step, env));
    if (!ok) throw new Refusal(`${step} failed in ${name}:\n${output.trimEnd()}`);
  }
  return env;
}

/** Where apt of this machine gets its packages, which serves systems of the same kind. */
function aptSource(id) {
  const release = readFileSync('/etc/os-release', 'utf8');
  const host = /^ID="?([^"\n]*)/m.exec(release)?.[1];
  if (host !== id) throw new Refusal(`this machine is ${host} and not ${id}: give --mirror`);
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(release)?.[1];
  const format = ['--format', '$(REPO_URI)', `Codename: ${codename}`];
  const source = ask('apt-get', ['indextargets', ...format])?.split('\n')[0];
  if (source) return source;
  throw new Refusal('apt names no source of packages here: run apt-get update, or give --mirror');
}

/** How this machine reaches its registries, as far as its settings say it: a new user's machine has its own way. */
function copySettings(folder) {
  for (const file of ['resolv.conf', 'hosts']) {
    if (existsSync(`/etc/${file}`)) copyFileSync(`/etc/${file}`, join(folder, 'etc', file));
  }
  const authorities = 'usr/local/share/ca-certificates';
  if (existsSync(`/${authorities}`))
    cpSync(`/${authorities}`, join(folder, authorities), { recursive: true });
  copyAptProxy(folder);
  copyNpmSettings(folder);
  return { ...proxies(), ...goSettings() };
}

function copyAptProxy(folder) {
  const lines = (ask('apt-config', ['dump']) ?? '')
    .split('\n')
    .filter((line) => /^Acquire::\w+::Proxy\b/i.test(line));
  writeFileSync(join(folder, 'etc/apt/apt.conf.d/90proxy'), `${lines.join('\n')}\n`);
}

function copyNpmSettings(folder) {
  const scratch = mkdtempSync(join(tmpdir(), 'gpfs-csi-fresh-'));
  try {
    const [[settings, place]] = npmSettings(scratch);
    mkdirSync(join(folder, place), { recursive: true });
    cpSync(settings, join(folder, place), { recursive: true });
    copyFileSync(join(settings, 'npmrc'), join(folder, 'root', '.npmrc'));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const proxies = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(?:https?|no|all)_proxy$/i.test(name)),
  );

function goSettings() {
  const names = ['GOPROXY', 'GOSUMDB', 'GONOSUMDB', 'GOPRIVATE', 'GONOPROXY', 'GOINSECURE'];
  const told = JSON.parse(ask('go', ['env', '-json', ...names]) ?? '{}');
  const all = names.map((name) => [name, process.env[name] ?? told[name]]);
  return Object.fromEntries(all.filter(([, value]) => value));
}
