import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { installPackages } from './apt.mjs';
import { ask, complete, findPrograms, Refusal, timed } from './run.mjs';

// The release that is fetched where the system's Go is too old, and the sums of its modules as Go writes them
// (`go mod download -json golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64`).
const release = 'go1.26.8';
const toolchains = {
  x64: ['linux-amd64', 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM='],
  arm64: ['linux-arm64', 'h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc='],
};

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gpfs-csi', 'go');
const fetched = join(cache, release, 'bin', 'go');

/** Folders to add to PATH, so that the first `go` of it can build what the tests need; installs one if need be. */
export async function ensureGo() {
  if (findNewGo() === undefined && findGos().length === 0) {
    await installPackages(['golang-go', 'ca-certificates'], 'Go, for tools of the tests,');
  }
  if (findNewGo() === undefined) await fetchToolchain(findGos()[0]);
  const go = findNewGo();
  return go === findGos()[0] && isOnPath(dirname(go)) ? [] : [dirname(go)];
}

const isOnPath = (folder) => (process.env.PATH ?? '').split(delimiter).includes(folder);

const findGos = () => findPrograms('go', ['/usr/local/go/bin']);

const findNewGo = () => [...findGos(), fetched].filter(existsSync).find(isNew);

/** From 1.21 on, Go fetches the release that a module asks for by itself, unless its settings forbid that. */
function isNew(go) {
  const minor = minorOf(go);
  if (minor >= minorIn(release)) return true;
  return minor >= 21 && !/^(?:local|path)$/.test(ask(go, ['env', 'GOTOOLCHAIN'])?.trim());
}

const minorOf = (go) => minorIn(ask(go, ['version']) ?? '');
const minorIn = (text) => Number(/\bgo1\.(\d+)/.exec(text)?.[1] ?? Number.NaN);

/** Has an older Go download the newer one, which is a module like any other, into the cache of the project. */
async function fetchToolchain(go) {
  const [platform, sum] = toolchains[process.arch] ?? [];
  if (go === undefined || platform === undefined) {
    throw new Refusal(`the tests need Go 1.21 or newer: put go on the PATH`);
  }
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, 'draft-'));
  try {
    await timed(
      `downloading ${release}, because ${go} is 1.${minorOf(go)} and the tests need 1.21`,
      () => download(go, `golang.org/toolchain@v0.0.1-${release}.${platform}`, sum, draft),
    );
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function download(go, module, sum, draft) {
  const env = { ...process.env, GOMODCACHE: draft, GOFLAGS: '-mod=mod' };
  const { ok, output, stdout } = await complete(go, ['mod', 'download', '-json', module], { env });
  if (!ok) throw new Refusal(`${go} could not download ${module}:\n${output.trimEnd()}`);
  const { Dir: folder, Sum: got } = JSON.parse(stdout);
  if (got !== sum) {
    throw new Refusal(`${module} is not what is pinned: its sum is ${got}, and ${sum} was wanted`);
  }
  makeUsable(folder);
  rmSync(join(cache, release), { recursive: true, force: true });
  renameSync(folder, join(cache, release));
}

/** Go unpacks modules without run bits, and so that nobody can delete them. */
function makeUsable(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const runs = entry.isDirectory() || /\/(?:bin|pkg\/tool\/[^/]+)\/[^/]+$/.test(path);
    chmodSync(path, runs ? 0o755 : 0o644);
  }
}
