import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import type { Bytes } from '../../../src/model/bytes.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { parseMountinfo } from '../../../src/run/mounts.ts';
import { simulateDown } from '../../../src/simulator/disk/lifecycle/down.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';
import { processesWith } from './processes.ts';
import { startRealServer, type RealServer, type ServeOptions } from './real-server.ts';
import { problemsOnDisk, recordsOnDisk } from './real-truth.ts';

/** One simulated GPFS with real bytes, and the drivers of its nodes. It is removed after the test file. */
export interface RealSite {
  readonly directory: string;
  readonly simulator: string;
  readonly mount: string;
  readonly bin: string;
  readonly root: string;
  /** Changes how this GPFS behaves; also mounts one that was unmounted. */
  set(personality: Readonly<Record<string, unknown>>): Promise<void>;
  /** Starts the driver of a node and waits until its root is open. For a node that had one, this is a restart. */
  serve(node?: string, options?: Partial<ServeOptions>): Promise<RealServer>;
  /** Flags of the server of a node. */
  flags(node: string): Readonly<Record<string, string>>;
  /** Processes that run a command of this GPFS. */
  commands(): readonly number[];
  /** Waits until no command of this GPFS runs any more. */
  quiet(): Promise<void>;
  /** A staging directory and a target whose parent exists. */
  place(name: string): Promise<{ readonly staging: string; readonly target: string }>;
  /** Loop devices and mounts over volumes. */
  inUse(): readonly string[];
  /** Where files, records and clone tree do not agree. */
  problems(): readonly string[];
  close(): Promise<void>;
}

const run = hostRun({ mmDirectory: '/nonexistent' });

/** Sets up a site. After the last test of the file it is removed, and must then be undamaged. */
export async function realSite(options: { readonly size?: Bytes } = {}): Promise<RealSite> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'gpfs-csi-site-')));
  const simulator = join(directory, 'sim');
  const { mount, bin, filesetPath } = await simulateUp({ run, dir: simulator, ...options });
  const root = join(filesetPath, 'csi');
  await mkdir(root);
  const site = siteOver({ directory, simulator, mount, bin, root });
  afterAll(() => site.close());
  return site;
}

type Paths = Pick<RealSite, 'directory' | 'simulator' | 'mount' | 'bin' | 'root'>;

function siteOver(paths: Paths): RealSite {
  const { directory, simulator, mount, bin, root } = paths;
  const servers: RealServer[] = [];
  const flags = (node: string) => ({
    root,
    'mm-dir': bin,
    'mm-runner': 'direct',
    'state-dir': join(directory, `state-${node}`),
    'kubelet-dir': join(directory, 'kubelet'),
    // Tests that count loop devices and commands must not count those of the probe.
    probe: 'never',
  });
  const quiet = async () => {
    while (commandsOf(bin).length > 0) await sleep(20);
  };
  const commands = () => commandsOf(bin);
  const problems = () => problemsOnDisk(root, bin);
  const inUse = () => usesOf(directory, mount);
  return {
    ...paths,
    flags,
    quiet,
    commands,
    problems,
    inUse,
    set: async (personality) => {
      await simulateUp({ run, dir: simulator, personality });
    },
    serve: async (node = 'a1', options = {}) => {
      const server = await startRealServer({
        node,
        socket: join(directory, `${node}.sock`),
        ...options,
        flags: { ...flags(node), ...options.flags },
      });
      servers.push(server);
      await untilReady(server);
      return server;
    },
    place: async (name) => {
      const staging = join(directory, 'kubelet', 'staging', name);
      const pod = join(directory, 'kubelet', 'pods', name);
      for (const each of [staging, pod]) await mkdir(each, { recursive: true });
      return { staging, target: join(pod, 'mount') };
    },
    close: async () => {
      await stopAtRest(root, servers);
      await Promise.all(servers.map((server) => server.end('SIGKILL')));
      await quiet();
      const found = [...problems(), ...(await simulateStatus({ dir: simulator })).damaged];
      for (const point of pointsBelow(join(directory, 'kubelet'))) await umount(point);
      await simulateDown({ run, dir: simulator, force: true });
      const left = [...inUse(), ...pointsBelow(directory)];
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      expect(found).toEqual([]);
      expect(left).toEqual([]);
    },
  };
}

/** The first call opens the root, which then knows the node. */
async function untilReady(server: RealServer): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (server.log().includes('"message":"readiness changed"')) return;
    await sleep(10);
  }
  throw new Error(`the server of ${server.node} never looked at its root:\n${server.log()}`);
}

const umount = (point: string) => run(['umount', point], 'write');

const mounts = () => parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));

/** Innermost and latest first. */
const pointsBelow = (path: string): readonly string[] =>
  mounts()
    .map(({ point }) => point)
    .filter((point) => point.startsWith(`${path}/`))
    .reverse();

function usesOf(directory: string, mount: string): readonly string[] {
  const output = execFileSync('losetup', ['-l', '-n', '-O', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
  });
  const loops = output.split('\n').filter((line) => line.includes(` ${mount}/`));
  return [...loops, ...pointsBelow(join(directory, 'kubelet'))];
}

const commandsOf = (bin: string): readonly number[] =>
  processesWith((line) => line.includes(`${bin}/`));

/** Stops servers at a moment when none of them is at work on a clone tree in the background, within 10 seconds. */
async function stopAtRest(root: string, servers: readonly RealServer[]): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    for (const server of servers) server.signal('SIGSTOP');
    if (!isCompacting(root)) return;
    for (const server of servers) server.signal('SIGCONT');
    await sleep(100);
  }
}

const isCompacting = (root: string): boolean =>
  existsSync(join(root, '.gpfs-csi')) &&
  (['volumes', 'snapshots', 'hidden'] as const).some((kind) =>
    recordsOnDisk(root, kind).some(({ claim }) => claim?.op === 'compact'),
  );
