import { clusterDown, clusterUp, removeState } from './cluster/cluster.ts';
import { installDriver } from './driver.ts';
import { gpfsDown, gpfsUp } from './gpfs.ts';
import { makeImages } from './images/all.ts';
import { installPackages } from './setup/packages.ts';
import { buildPrograms } from './setup/programs.ts';

/** Prints text. */
export const show = (text: string): void => {
  process.stdout.write(text);
};

/** Prints a line. */
export const say = (line: string): void => {
  show(`${line}\n`);
};

/** Runs one stage and shows its time; after a stop, no further stage begins. */
export async function stage<T>(
  name: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  return timed(name, work);
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    say(`${name.padEnd(28)}${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s`);
  }
}

/** The programs alone: what takes long on a fresh machine, and nothing that changes the machine. */
export async function build(signal: AbortSignal): Promise<void> {
  await stage('programs', signal, () => buildPrograms(say));
}

/** Sets up the cluster and installs the driver. */
export async function up(signal: AbortSignal): Promise<void> {
  await stage('packages', signal, installPackages);
  await build(signal);
  const archives = await stage('images', signal, () => makeImages(say));
  await stage('simulated GPFS', signal, gpfsUp);
  await stage('cluster', signal, () => clusterUp(archives));
  await stage('helm install', signal, () => installDriver());
}

/** Removes the cluster and the simulated GPFS. */
export async function down(): Promise<void> {
  await timed('cluster down', clusterDown);
  await timed('simulated GPFS down', gpfsDown);
  await removeState();
}
