import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMountinfo } from '../../../src/run/mounts.ts';
import { connectTo, type TestClient } from '../../support/server/client.ts';
import { familyOf, runMark } from './processes.ts';
import { signal } from '../../support/disk/processes.ts';
import { run, type Site } from './site.ts';

/** What a node is started with. */
export interface NodePlan {
  readonly site: Site;
  readonly program: string;
  readonly name: string;
  /** How far its clock is off at first. */
  readonly clockMs: number;
}

interface Running {
  readonly child: ChildProcess;
  readonly client: TestClient;
  readonly ended: Promise<unknown>;
}

/** A node of the cluster: a driver in a process of its own, with a boot id, a clock and directories of its own. */
export class ChaosNode {
  readonly name: string;
  readonly kubelet: string;
  readonly log: string;
  /** False while no pod may begin anything here, because the node is about to boot. */
  open = true;
  /** Calls for pods that are under way here. */
  busy = 0;
  /** How far its clock is off, from the next start on. */
  clockMs: number;
  readonly #plan: NodePlan;
  readonly #folder: string;
  #running: Running | undefined;
  /** Commands of servers that were killed here; they end by themselves, or at the next boot. */
  #orphans: readonly number[] = [];

  constructor(plan: NodePlan) {
    this.#plan = plan;
    this.name = plan.name;
    this.clockMs = plan.clockMs;
    this.#folder = join(plan.site.work, plan.name);
    this.kubelet = join(this.#folder, 'kubelet');
    this.log = join(this.#folder, 'log');
  }

  async make(): Promise<void> {
    await mkdir(this.kubelet, { recursive: true });
    await writeFile(join(this.#folder, 'machine'), `${randomUUID().replaceAll('-', '')}\n`);
    await this.#boot();
  }

  async #boot(): Promise<void> {
    await writeFile(join(this.#folder, 'boot'), `${randomUUID()}\n`);
  }

  /** The client of its server; undefined while there is none. */
  get client(): TestClient | undefined {
    return this.#running?.client;
  }

  /** Starts the server and waits until it is ready; `without`: until it serves, on a node where GPFS is not mounted. */
  async start({ without = false, readyMs = 60_000 } = {}): Promise<void> {
    const socket = join(this.#folder, 'csi.sock');
    const child = this.#spawn(socket, without);
    const client = connectTo(socket);
    this.#running = { child, client, ended: once(child, 'close') };
    const until = Date.now() + readyMs;
    while (!(await answers(client, without))) {
      if (child.exitCode !== null) throw new Error(`the server of ${this.name} ended at its start`);
      if (Date.now() > until)
        throw new Error(`the server of ${this.name} is not ready ${readyMs / 1000} s after start`);
      await sleep(30);
    }
  }

  #spawn(socket: string, without: boolean): ChildProcess {
    const { site, program } = this.#plan;
    const clock = fileURLToPath(new URL('./skewed-clock.ts', import.meta.url));
    const argv = Object.entries(this.#flags()).flatMap(([flag, value]) => [`--${flag}`, value]);
    const server = [process.execPath, '--import', clock, program, 'serve', ...argv];
    const apart = ['unshare', '--mount', 'sh', '-c', 'umount "$0" && exec "$@"', site.mount];
    const [file = '', ...args] = without ? [...apart, ...server] : server;
    const log = openSync(this.log, 'a');
    const child = spawn(file, args, {
      env: {
        PATH: process.env['PATH'],
        CSI_ENDPOINT: `unix://${socket}`,
        NODE_COMPILE_CACHE: join(site.work, 'compiled'),
        CHAOS_CLOCK_MS: String(this.clockMs),
        [runMark]: site.work,
      },
      stdio: ['ignore', 'ignore', log],
      // Ctrl-C reaches only the harness.
      detached: true,
    });
    closeSync(log);
    return child;
  }

  #flags(): Readonly<Record<string, string>> {
    const { site } = this.#plan;
    return {
      root: site.roots.join(','),
      'mm-dir': site.bin,
      'mm-runner': 'direct',
      'node-id': this.name,
      'state-dir': join(this.#folder, 'state'),
      'kubelet-dir': this.kubelet,
      'boot-id-path': join(this.#folder, 'boot'),
      'machine-id-path': join(this.#folder, 'machine'),
      'shutdown-grace': '5000',
      probe: 'never',
    };
  }

  /** Ends the server by a signal, and waits for its end. */
  async end(name: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    const pid = running.child.pid ?? 0;
    this.#orphans = [...this.#orphans, ...familyOf(pid).slice(1)];
    signal(pid, name);
    signal(pid, 'SIGCONT');
    const limit = setTimeout(() => {
      signal(pid, 'SIGKILL');
    }, 30_000);
    await running.ended;
    clearTimeout(limit);
    running.client.close();
  }

  stop(): void {
    signal(this.#running?.child.pid ?? 0, 'SIGSTOP');
  }

  wake(): void {
    signal(this.#running?.child.pid ?? 0, 'SIGCONT');
  }

  /** Makes the last heartbeat of this node so old that other servers take over from it. */
  async fallSilent(ms: number): Promise<void> {
    const then = (Date.now() - ms) / 1000;
    for (const root of this.#plan.site.roots)
      await utimes(join(root, '.gpfs-csi', 'nodes', `${this.name}.json`), then, then);
  }

  /** Everything of this node ends: processes, mounts, loop devices. Its server is not started again. */
  async crash(others: readonly ChaosNode[]): Promise<void> {
    const pid = this.#running?.child.pid;
    if (pid !== undefined) signal(pid, 'SIGSTOP');
    const family = pid === undefined ? [] : familyOf(pid);
    await this.end('SIGKILL');
    for (const each of [...family, ...this.#orphans]) signal(each, 'SIGKILL');
    this.#orphans = [];
    const devices = devicesOf(await this.records(), await recordsOf(others));
    for (const point of this.mounts()) {
      // The kernel keeps a frozen file system that is unmounted; a node that boots keeps nothing.
      await run(['fsfreeze', '--unfreeze', point], 'write').catch(() => undefined);
      await run(['umount', '-l', point], 'write');
    }
    for (const device of devices) await run(['losetup', '-d', device], 'write');
    await this.#boot();
  }

  /** Mount points below the kubelet's directory, innermost and latest first. */
  mounts(): readonly string[] {
    return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'))
      .map(({ point }) => point)
      .filter((point) => point.startsWith(`${this.kubelet}/`))
      .reverse();
  }

  /** What lies in the mount point of GPFS as a server sees it that has no GPFS. */
  belowTheMount(): readonly string[] {
    const pid = this.#running?.child.pid ?? 0;
    return readdirSync(`/proc/${pid}/root${this.#plan.site.mount}`);
  }

  /** What the node's own records say of its volumes, as JSON without blanks. */
  async records(): Promise<readonly string[]> {
    const files = (await this.ownFiles()).filter((path) => path.endsWith('.json'));
    const texts = await Promise.all(files.map((path) => readFile(path, 'utf8').catch(() => '{}')));
    return texts.map((text) => JSON.stringify(JSON.parse(text)));
  }

  /** Files that the node keeps about volumes. */
  async ownFiles(): Promise<readonly string[]> {
    const state = join(this.#folder, 'state');
    const found = await readdir(state, { recursive: true, withFileTypes: true }).catch(() => []);
    return found.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  }
}

/** Whether a server says that it is ready, or what it can do where it cannot be ready. */
async function answers(client: TestClient, without: boolean): Promise<boolean> {
  const rpc = without ? 'GetPluginInfo' : 'Probe';
  const { code, reply } = await client.call(rpc, {}, { deadlineMs: 5_000 });
  const { ready } = (reply ?? {}) as { readonly ready?: { readonly value?: boolean } | null };
  return without ? code === 'OK' : ready?.value === true;
}

const recordsOf = async (nodes: readonly ChaosNode[]): Promise<readonly string[]> =>
  (await Promise.all(nodes.map((node) => node.records()))).flat();

/**
 * Loop devices of a node: those that its records name by number and sequence, and those over an image that it was about to
 * attach and that no other node names. Nothing else is touched: the machine has loop devices of others.
 */
function devicesOf(own: readonly string[], others: readonly string[]): readonly string[] {
  const names = (texts: readonly string[], { path, diskseq }: Loop): boolean =>
    texts.some((text) => text.includes(`"path":"${path}","diskseq":"${diskseq}"`));
  const attaching = own.flatMap((text) => {
    const { attaching, imagePath } = JSON.parse(text) as Record<string, unknown>;
    return attaching === undefined || typeof imagePath !== 'string' ? [] : [imagePath];
  });
  return loops()
    .filter((loop) => {
      if (names(own, loop)) return true;
      return attaching.includes(loop.backing) && !names(others, loop);
    })
    .map(({ path }) => path);
}

interface Loop {
  readonly path: string;
  readonly diskseq: string;
  readonly backing: string;
}

/** All loop devices of the machine that have a file. */
export const loops = (): readonly Loop[] =>
  readdirSync('/sys/block').flatMap((name) => {
    const [backing, diskseq] = ['loop/backing_file', 'diskseq'].map((file) =>
      readWhole(`/sys/block/${name}/${file}`),
    );
    if (!name.startsWith('loop') || backing === undefined) return [];
    return [{ path: `/dev/${name}`, diskseq: diskseq ?? '', backing }];
  });

function readWhole(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}
