import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GiB } from '../../../../src/model/bytes.ts';
import { hostRun } from '../../../../src/run/host-run.ts';
import { simulateDown } from '../../../../src/simulator/disk/lifecycle/down.ts';
import { simulateUp } from '../../../../src/simulator/disk/lifecycle/up.ts';
import { connectTo, type TestClient } from '../../server/client.ts';
import { prometheusTool } from '../prometheus.ts';

const program = join(import.meta.dirname, '../../../../src/cli/main.ts');
const run = hostRun({ mmDirectory: '/nonexistent' });
const nodes = ['a1', 'b1'] as const;
const target = { namespace: 'gpfs-csi', job: 'gpfs-csi/gpfs-csi-node' };
const mib = 2 ** 20;

/** A Prometheus that has scraped two drivers on a simulated GPFS while they had work. */
export interface Watched {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Seconds since 1970. */
  readonly from: number;
  readonly to: number;
  close(): Promise<void>;
}

interface Ground {
  readonly directory: string;
  readonly root: string;
  readonly bin: string;
  readonly ports: readonly number[];
}

/** Gives two drivers work for so many seconds, while a Prometheus scrapes them. */
export async function watchTraffic(seconds: number): Promise<Watched> {
  const directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-boards-'));
  const simulator = join(directory, 'sim');
  const { bin, filesetPath } = await simulateUp({ run, dir: simulator, size: 2n * GiB });
  const root = join(filesetPath, 'csi');
  await mkdir(root);
  const ports = await Promise.all([...nodes, 'prometheus'].map(freePort));
  const ground = { directory, root, bin, ports };
  const processes: ChildProcess[] = [];
  const close = async () => {
    for (const child of processes) child.kill('SIGTERM');
    for (const child of processes) if (child.exitCode === null) await once(child, 'exit');
    await simulateDown({ run, dir: simulator, force: true });
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    for (const n of nodes.keys()) processes.push(serve(ground, n));
    processes.push(await startPrometheus(ground));
    await answers(ports);
    const from = Date.now() / 1000;
    await work(ground, seconds);
    return { url: `http://127.0.0.1:${ports[2]}`, from, to: Date.now() / 1000, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  listening.close();
  await once(listening, 'close');
  return port;
}

function serve({ directory, root, bin, ports }: Ground, n: number): ChildProcess {
  const node = nodes[n] ?? '';
  const flags = {
    root,
    'node-id': node,
    'mm-dir': bin,
    'mm-runner': 'direct',
    'state-dir': join(directory, `state-${node}`),
    'kubelet-dir': join(directory, 'kubelet'),
    'http-port': String(ports[n]),
    'http-address': '127.0.0.1',
    'metrics-volumes': '10',
  };
  const argv = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const env = { ...process.env, CSI_ENDPOINT: `unix://${join(directory, `${node}.sock`)}` };
  return spawn(process.execPath, [program, 'serve', ...argv], { env, stdio: 'ignore' });
}

async function startPrometheus({ directory, ports }: Ground): Promise<ChildProcess> {
  const file = join(directory, 'prometheus.yml');
  const targets = nodes.map((node, n) => ({
    targets: [`127.0.0.1:${ports[n]}`],
    labels: { ...target, node },
  }));
  const config = {
    global: { scrape_interval: '5s' },
    scrape_configs: [{ job_name: 'drivers', static_configs: targets }],
  };
  await writeFile(file, JSON.stringify(config));
  const argv = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(directory, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${ports[2]}`,
  ];
  return spawn(await prometheusTool('prometheus'), argv, { stdio: 'ignore' });
}

/** Resolves once all three answer; throws after a minute. */
async function answers(ports: readonly number[]): Promise<void> {
  const paths = ['/readyz', '/readyz', '/-/ready'];
  const until = Date.now() + 60_000;
  for (const [n, port] of ports.entries())
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}${paths[n]}`).catch(() => undefined);
      if (answer?.ok) break;
      if (Date.now() > until) throw new Error(`port ${port} does not answer`);
      await sleep(200);
    }
}

/** The reply of a call that must succeed; asks again while another call for the same object comes first. */
async function ok<Reply>(client: TestClient, rpc: string, request: object): Promise<Reply> {
  for (;;) {
    const { code, details, reply } = await client.call(rpc, request);
    if (code === 'OK') return reply as Reply;
    if (code !== 'ABORTED') throw new Error(`${rpc}: ${code} ${details}`);
    await sleep(100);
  }
}

/** Volumes, snapshots, restores and deletions, and a claim that can never be made. */
async function work(ground: Ground, seconds: number): Promise<void> {
  const clients = nodes.map((node) => connectTo(join(ground.directory, `${node}.sock`)));
  const until = Date.now() + seconds * 1000;
  const state = { source: '', cuts: [] as string[] };
  for (let n = 0; Date.now() < until; n += 1) {
    const client = clients[n % 2];
    if (client) await oneRound(ground, client, state, n);
    await sleep(1500);
  }
  for (const each of clients) each.close();
}

interface State {
  /** The volume that the next snapshot is taken of. */
  source: string;
  readonly cuts: string[];
}

async function oneRound(
  ground: Ground,
  client: TestClient,
  state: State,
  n: number,
): Promise<void> {
  if (n === 0) state.source = await volume(client, 'pvc-0', 320);
  await fill(ground.root, state.source, n);
  const cut = await ok<{ readonly snapshot: { readonly snapshot_id: string } }>(
    client,
    'CreateSnapshot',
    { source_volume_id: state.source, name: `s-${n}` },
  );
  const { snapshot_id } = cut.snapshot;
  state.cuts.push(snapshot_id);
  const restored = await volume(client, `pvc-${n + 1}`, 384 + Math.min(n, 40) * 32, snapshot_id);
  if (n < 8) state.source = restored;
  else if (n % 4 === 0)
    await ok(client, 'ControllerPublishVolume', {
      volume_id: restored,
      node_id: nodes[n % 3 === 0 ? 0 : 1],
      volume_capability: capability,
    });
  if (n % 2 === 0) await ok(client, 'DeleteSnapshot', { snapshot_id: state.cuts.shift() ?? '' });
  if (n % 3 === 0)
    await volume(client, 'never', 2048, snapshot_id.replace(/\..*/, '.gone')).catch(
      () => undefined,
    );
}

const capability = {
  mount: { fs_type: 'xfs', mount_flags: [] },
  access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' },
};

interface Made {
  readonly volume: { readonly volume_id: string };
}

async function volume(
  client: TestClient,
  name: string,
  sizeMiB: number,
  snapshot_id?: string,
): Promise<string> {
  const named = { namespace: 'shop', name: name.replace('pvc', 'orders') };
  const { volume: made } = await ok<Made>(client, 'CreateVolume', {
    name,
    capacity_range: { required_bytes: String(sizeMiB * mib) },
    volume_capabilities: [capability],
    volume_content_source: snapshot_id === undefined ? undefined : { snapshot: { snapshot_id } },
    parameters: {
      'csi.storage.k8s.io/pvc/name': named.name,
      'csi.storage.k8s.io/pvc/namespace': named.namespace,
    },
  });
  return made.volume_id;
}

/** Writes 4 MiB into the image of a volume that no node has attached, as a pod would have. */
async function fill(root: string, id: string, n: number): Promise<void> {
  const local = id.slice(id.indexOf('.') + 1);
  const names = await readdir(join(root, 'volumes'), { recursive: true });
  const image = names.find((name) => name.includes(`/${local}.`));
  if (image === undefined) return;
  const file = await open(join(root, 'volumes', image), 'r+');
  await file.write(Buffer.alloc(4 * mib, n), 0, 4 * mib, (n % 60) * 4 * mib);
  await file.close();
}
