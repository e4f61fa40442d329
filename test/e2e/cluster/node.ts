import { mkdir, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { pauseImage } from '../images/all.ts';
import { gpfsFolder, runFolder } from '../setup/places.ts';
import { kubernetesFolder } from '../setup/programs.ts';
import { attempt, sh, type Argv } from '../setup/shell.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { bridge, bridgeAddress, cgroupsOf, kubeconfig, podRange } from './network.ts';
import { containerdConfig, kubeletConfig, podNetwork } from './node-config.ts';
import { childOf, runningPid, signal, startProcess, stopProcess } from './processes.ts';

/** One node: namespaces of this machine, with a container runtime and a kubelet in them. */
export interface Node {
  readonly name: string;
  readonly number: number;
  readonly address: string;
  readonly folder: string;
  /** Subnet of its pods. */
  readonly pods: string;
  readonly link: string;
}

/** The n-th node, from 1. */
const nodeOf = (number: number): Node => ({
  name: `node${number}`,
  number,
  address: `10.250.0.${10 + number}`,
  folder: join(runFolder, `node${number}`),
  pods: `10.244.${number}.0/24`,
  link: `${bridge}${number}`,
});

/** Both of them. */
export const nodes = [nodeOf(1), nodeOf(2)] as const;

const processOf = ({ name }: Node, program: string): string => `${name}-${program}`;

/** The node's first process, as this machine numbers it. */
export function initOf(node: Node): number {
  const holder = runningPid(processOf(node, 'init'));
  const init = holder === undefined ? undefined : childOf(holder);
  if (init === undefined) throw new Error(`${node.name} is not running`);
  return init;
}

/** A command in the namespaces of the node. */
const inside = (node: Node, argv: Argv): Argv => {
  return ['nsenter', '-t', String(initOf(node)), '-m', '-n', '-p', '-u', '--', ...argv];
};

/** Runs a command on the node, to its end. */
export const onNode = (node: Node, argv: Argv): Promise<string> => sh(inside(node, argv));

const ctr = (node: Node, ...args: string[]): Argv => {
  const socket = join(node.folder, 'containerd', 'c.sock');
  return ['ctr', '-a', socket, '-n', 'k8s.io', ...args];
};

/** Makes the namespaces and the network of a node. */
export async function bootNode(node: Node): Promise<void> {
  if (runningPid(processOf(node, 'init')) !== undefined) return;
  const own = ['/var/lib/kubelet', '/var/lib/gpfs-csi', '/var/lib/cni', '/containerd/state'];
  for (const path of [...own, '/net.d', '/pods-log', '/volumeplugins'])
    await mkdir(join(node.folder, path), { recursive: true });
  const id = createHash('md5').update(node.folder).digest('hex');
  await writeFile(join(node.folder, 'machine-id'), `${id}\n`);
  const script = join(import.meta.dirname, 'node-init.sh');
  const namespaces = ['-m', '-n', '-p', '-u', '--fork', '--kill-child', '--mount-proc'];
  const init = ['bash', script, node.name, node.folder, gpfsFolder];
  startProcess(processOf(node, 'init'), ['unshare', ...namespaces, ...init]);
  await until(`${node.name} has its namespaces`, patienceMs, () =>
    attempt(inside(node, ['test', '-f', '/run/ready'])).then((out) => out !== undefined),
  );
  await connect(node);
  for (const folder of cgroupsOf(node.name)) await mkdir(folder, { recursive: true });
}

async function connect(node: Node): Promise<void> {
  await attempt(['ip', 'link', 'del', node.link]);
  const peer = ['peer', 'name', 'eth0', 'netns', String(initOf(node))];
  await sh(['ip', 'link', 'add', node.link, 'type', 'veth', ...peer]);
  await sh(['ip', 'link', 'set', node.link, 'master', bridge, 'up']);
  await onNode(node, ['ip', 'addr', 'add', `${node.address}/24`, 'dev', 'eth0']);
  await onNode(node, ['ip', 'link', 'set', 'eth0', 'up']);
  await onNode(node, ['ip', 'route', 'add', 'default', 'via', bridgeAddress]);
  for (const other of nodes) {
    if (other.number === node.number) continue;
    await onNode(node, ['ip', 'route', 'replace', other.pods, 'via', other.address]);
  }
}

/** Starts the container runtime and gives it the images. */
export async function startRuntime(node: Node, archives: readonly string[]): Promise<void> {
  const config = join(node.folder, 'containerd.toml');
  await writeFile(config, containerdConfig(node.folder, pauseImage));
  await writeFile(
    join(node.folder, 'net.d', '10-pods.conflist'),
    JSON.stringify(podNetwork(node.folder, node.pods)),
  );
  startProcess(processOf(node, 'containerd'), inside(node, ['containerd', '-c', config]));
  await until(`containerd of ${node.name} answers`, patienceMs, () => sh(ctr(node, 'version')));
  for (const archive of archives) await onNode(node, ctr(node, 'images', 'import', archive));
}

/** Starts kubelet and kube-proxy. */
export async function startKubelet(node: Node): Promise<void> {
  const config = join(node.folder, 'kubelet.json');
  await writeFile(config, JSON.stringify(kubeletConfig(node)));
  const flags = [
    `--config=${config}`,
    `--kubeconfig=${kubeconfig(node.name)}`,
    '--root-dir=/var/lib/kubelet',
    `--hostname-override=${node.name}`,
    `--node-ip=${node.address}`,
  ];
  startProcess(
    processOf(node, 'kubelet'),
    inside(node, [join(kubernetesFolder, 'kubelet'), ...flags]),
  );
  const proxy = [
    `--kubeconfig=${kubeconfig('proxy')}`,
    `--hostname-override=${node.name}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${podRange}`,
    '--conntrack-max-per-core=0',
    `--bind-address=${node.address}`,
  ];
  startProcess(
    processOf(node, 'proxy'),
    inside(node, [join(kubernetesFolder, 'kube-proxy'), ...proxy]),
  );
}

/** Kills kubelet and containerd, as a crash would: the containers live on. */
export async function loseNode(node: Node): Promise<void> {
  for (const program of ['kubelet', 'containerd']) {
    const holder = runningPid(processOf(node, program));
    // nsenter waits for the program it started in the other pid namespace.
    const child = holder === undefined ? undefined : childOf(holder);
    if (child !== undefined) signal(child, 'SIGKILL');
    await stopProcess(processOf(node, program));
  }
}

/** Starts again what loseNode ended. */
export async function repairNode(node: Node): Promise<void> {
  const config = join(node.folder, 'containerd.toml');
  startProcess(processOf(node, 'containerd'), inside(node, ['containerd', '-c', config]));
  await until(`containerd of ${node.name} answers`, patienceMs, () => sh(ctr(node, 'version')));
  await startKubelet(node);
}

/** Ends all that runs on the node, its mounts and its network. */
export async function haltNode(node: Node): Promise<void> {
  const holder = runningPid(processOf(node, 'init'));
  const init = holder === undefined ? undefined : childOf(holder);
  if (init !== undefined) signal(init, 'SIGKILL');
  for (const program of ['init', 'kubelet', 'proxy', 'containerd'])
    await stopProcess(processOf(node, program));
  await attempt(['ip', 'link', 'del', node.link]);
}
