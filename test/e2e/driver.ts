import { join } from 'node:path';
import { kubectl, clusterEnv } from './kube.ts';
import { sidecarImage } from './images/all.ts';
import {
  checkout,
  driverImage,
  gpfsFolder,
  release,
  rootFolder,
  type Release,
} from './setup/places.ts';
import { sh } from './setup/shell.ts';
import { longPatienceMs } from './setup/wait.ts';
import { goTool, helmTool } from '../support/tools/go-tool.ts';

/** The chart of this checkout. */
export const chartFolder = join(checkout, 'charts', 'gpfs-csi');

/** The driver's DaemonSet. */
export const daemonSet = `daemonset/${release.name}-node`;
const deployment = `deployment/${release.name}-controller`;

/** How an installation differs from the usual one. */
export interface Installation {
  readonly tag?: string;
  readonly chart?: string;
  readonly values?: Readonly<Record<string, unknown>>;
}

/** Values that every installation in this cluster needs, such as the names of images. */
export const localImages = (tag: string): Readonly<Record<string, unknown>> => ({
  image: { repository: driverImage.repository, tag },
  sidecars: Object.fromEntries(
    ['provisioner', 'attacher', 'snapshotter', 'resizer'].map((name) => [
      name,
      { image: sidecarImage(`csi-${name}`) },
    ]),
  ),
});

const patience = ['--wait', '--timeout', `${longPatienceMs / 1000}s`];

/** Runs helm against the cluster. */
export async function helm(args: readonly string[], input = ''): Promise<string> {
  const program = await goTool(helmTool);
  const limitMs = longPatienceMs + 60_000;
  return sh([program, ...args], { cwd: checkout, env: clusterEnv(), input, limitMs });
}

/** Installs or changes any release; waits until helm finds it ready, unless `ready` has other flags. */
export async function installRelease(
  { name, namespace }: Release,
  chart: string,
  values: Readonly<Record<string, unknown>>,
  ready: readonly string[] = patience,
): Promise<void> {
  const place = ['--namespace', namespace, '--create-namespace'];
  const args = ['upgrade', '--install', name, chart, ...place, ...ready, '--values', '-'];
  await helm(args, JSON.stringify(values));
}

/** Installs the driver, or changes what is installed, and waits until all is ready. */
export async function installDriver(how: Installation = {}): Promise<void> {
  const { tag = driverImage.tag, chart = chartFolder, values = {} } = how;
  await installRelease(release, chart, { ...ownValues, ...localImages(tag), ...values });
  await rolledOut();
}

/** Values of the usual installation; everything else is the chart's default. */
const ownValues = { roots: [rootFolder], mmDirectory: `${gpfsFolder}/bin` };

/** Waits until each node has its driver and the sidecars run. */
export async function rolledOut(): Promise<void> {
  for (const what of [daemonSet, deployment]) {
    const status = ['rollout', 'status', what, `--timeout=${longPatienceMs / 1000}s`];
    await kubectl(['-n', release.namespace, ...status], { limitMs: longPatienceMs + 60_000 });
  }
}

/** Uninstalls a release. */
export async function uninstall({ name, namespace }: Release): Promise<void> {
  await helm(['uninstall', name, '--namespace', namespace, ...patience]);
}
