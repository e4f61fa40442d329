import { kubectl, clusterEnv } from './kube.ts';
import { sidecarImage } from './images/all.ts';
import { checkout, driverImage, gpfsFolder, release, rootFolder } from './setup/places.ts';
import { sh } from './setup/shell.ts';
import { goTool, helmTool } from '../support/gotool.ts';

const chart = 'charts/gpfs-csi';

/** The driver's DaemonSet, as kubectl names it. */
export const daemonSet = `daemonset/${release.name}-node`;
const deployment = `deployment/${release.name}-controller`;

/** Values of the chart for this cluster; everything else is the chart's default. */
const values = (tag: string): unknown => ({
  roots: [rootFolder],
  mmDirectory: `${gpfsFolder}/bin`,
  image: { repository: driverImage.repository, tag },
  sidecars: Object.fromEntries(
    ['provisioner', 'attacher', 'snapshotter', 'resizer'].map((name) => [
      name,
      { image: sidecarImage(`csi-${name}`) },
    ]),
  ),
});

/** Runs helm against the cluster. */
export async function helm(args: readonly string[], input = ''): Promise<string> {
  const program = await goTool(helmTool);
  return sh([program, ...args], { cwd: checkout, env: clusterEnv(), input, limitMs: 300_000 });
}

/** Installs the chart, or moves what is installed to another image tag, and waits until all is ready. */
export async function installDriver(tag: string = driverImage.tag): Promise<void> {
  const { name, namespace } = release;
  const place = ['--namespace', namespace, '--create-namespace'];
  const patience = ['--wait', '--timeout', '180s'];
  const args = ['upgrade', '--install', name, chart, ...place, ...patience, '--values', '-'];
  await helm(args, JSON.stringify(values(tag)));
  await rolledOut();
}

/** Waits until each node has its driver and the sidecars run. */
export async function rolledOut(): Promise<void> {
  for (const what of [daemonSet, deployment]) {
    const status = ['rollout', 'status', what, '--timeout=180s'];
    await kubectl(['-n', release.namespace, ...status]);
  }
}

/** Takes the chart out of the cluster. */
export async function uninstallDriver(): Promise<void> {
  const { name, namespace } = release;
  await helm(['uninstall', name, '--namespace', namespace, '--wait', '--timeout', '120s']);
}
