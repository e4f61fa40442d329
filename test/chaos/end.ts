import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { simulateStatus } from '../../src/simulator/disk/lifecycle/status.ts';
import {
  directoriesOnDisk,
  filesOnDisk,
  problemsOnDisk,
  recordsOnDisk,
} from '../support/disk/real-truth.ts';
import { loops } from './ground/node.ts';
import { processesOf } from './ground/processes.ts';
import type { World } from './world.ts';

/** Asks again until nothing is wrong, or some time is over: servers work off in the background what operations left. */
async function settled(look: () => readonly string[], limitMs: number): Promise<readonly string[]> {
  const until = Date.now() + limitMs;
  for (;;) {
    const wrong = look();
    if (wrong.length === 0 || Date.now() > until) return wrong;
    await sleep(500);
  }
}

/** Where records, files and clone trees do not agree once the servers have come to rest. */
export const disagreements = (world: World, limitMs: number): Promise<readonly string[]> =>
  settled(() => world.site.roots.flatMap((root) => problemsOnDisk(root, world.site.bin)), limitMs);

/** What is left in the roots and on the nodes after everything was deleted. */
export const leftovers = async (world: World, limitMs: number): Promise<readonly string[]> => {
  const { site } = world;
  const inRoots = await settled(() => site.roots.flatMap(leftIn), limitMs);
  const files = await Promise.all(world.nodes.map((node) => node.ownFiles()));
  return [
    ...inRoots,
    ...files.flat().map((path) => `${path} is left on its node`),
    ...world.nodes.flatMap((node) => node.mounts()).map((point) => `${point} is still mounted`),
    ...loops()
      .filter(({ backing }) => backing.startsWith(`${site.mount}/`))
      .map(({ path, backing }) => `${path} still holds ${backing}`),
    ...(await simulateStatus({ dir: site.simulator })).reasons,
  ];
};

/**
 * Folders below ROOT/.gpfs-csi in which nothing is left when no object is. Not `tmp` and `freezes`: what a killed server was
 * writing or asking stays there for an hour, until the sweep can be sure that no server still needs it.
 */
const empty = [
  'edges',
  'marks',
  'attached',
  'copies',
  'barred',
  'queue/ready',
  'queue/waiting',
  'probe',
  'quarantine',
];

function leftIn(root: string): readonly string[] {
  const records = (['volumes', 'snapshots', 'hidden'] as const).flatMap((kind) =>
    recordsOnDisk(root, kind)
      .filter(({ state, claim }) => state !== 'deleted' || claim)
      .map(({ id, state }) => `the record of ${kind} ${id} in ${root} says ${state}`),
  );
  const files = empty.flatMap((folder) => namesBelow(join(root, '.gpfs-csi', folder)));
  const data = [...filesOnDisk(root), ...directoriesOnDisk(root)];
  return [...records, ...[...data, ...files].map((path) => `${path} is left`)];
}

const namesBelow = (folder: string): readonly string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((each) => !each.isDirectory())
        .map((each) => join(each.parentPath, each.name))
    : [];

/** What doctor finds wrong with a root. */
export async function doctor(
  { program, site }: Pick<World, 'program' | 'site'>,
  root: string,
): Promise<readonly string[]> {
  const { bin } = site;
  const flags = ['--json', '--no-probe', '--mm-dir', bin, '--mm-runner', 'direct'];
  const argv = [program, 'doctor', '--root', root, ...flags];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const { stdout } = await promisify(execFile)(process.execPath, argv, { env }).catch(
    (error: unknown) => error as { readonly stdout: string },
  );
  const report = JSON.parse(stdout) as {
    readonly healthy: boolean;
    readonly roots: readonly { readonly checks: readonly Check[] }[];
  };
  const bad = report.roots.flatMap(({ checks }) => checks).filter(isBad);
  return bad.map(({ name, says }) => `doctor of ${root}: ${name}: ${says}`);
}

interface Check {
  readonly name: string;
  readonly status: string;
  readonly says: string;
}

// Clocks that are apart are one of the faults.
const isBad = ({ name, status, says }: Check): boolean =>
  (status === 'warning' || status === 'failed') &&
  !(name === 'servers' && says.startsWith('the clock of node'));

/** Servers and commands that have not ended. */
export const survivors = (world: World): readonly string[] =>
  processesOf(world.site.work).map((pid) => `process ${pid} has not ended`);
