import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DriverError } from '../model/fault.ts';
import { hostRun } from '../run/host-run.ts';
import { simulateDown } from '../simulator/disk/lifecycle/down.ts';
import { simulateStatus } from '../simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../simulator/disk/lifecycle/up.ts';
import { readConfig } from './command/config.ts';
import { connect } from './demo/client.ts';
import { narratorOf, type Narrator } from './demo/narrator.ts';
import { playStory } from './demo/story.ts';
import { startServer } from './server/assemble.ts';
import type { RunningServer } from './server/open.ts';

// Set before the first file is opened: a simulated file system blocks threads as a real one does.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const run = hostRun({ mmDirectory: '/nonexistent' });

interface Place {
  readonly work: string;
  readonly simulator: string;
  readonly socket: string;
}

async function main(keep: boolean): Promise<void> {
  const narrator = narratorOf((text) => process.stdout.write(text));
  const work = await mkdtemp(join(tmpdir(), 'gpfs-csi-demo-'));
  const place = { work, simulator: join(work, 'simulator'), socket: join(work, 'csi.sock') };
  try {
    await play(narrator, place, keep);
  } finally {
    await narrator.step('take the simulated GPFS down', () =>
      simulateDown({ run, dir: place.simulator }),
    );
    await rm(work, { recursive: true, force: true, maxRetries: 3 });
  }
  narrator.say('Everything is gone again: no mount, loop device or file is left.');
}

async function play(narrator: Narrator, place: Place, keep: boolean): Promise<void> {
  const gpfs = await narrator.step(
    'bring a simulated GPFS up (XFS with reflink on a loop file)',
    () => simulateUp({ run, dir: place.simulator }),
  );
  const root = join(gpfs.filesetPath, 'csi');
  await mkdir(root, { recursive: true });
  const server = await narrator.step('serve the driver, check the root', () =>
    serve(narrator, place, root, gpfs.bin),
  );
  try {
    await withClient(narrator, place, server);
    await checkDamage(narrator, place);
    if (keep) await stay(narrator, place, root, gpfs.bin);
  } finally {
    await server.close();
  }
}

async function serve(
  narrator: Narrator,
  place: Place,
  root: string,
  bin: string,
): Promise<RunningServer> {
  const flags = {
    root,
    'mm-dir': bin,
    'mm-runner': 'direct',
    'state-dir': join(place.work, 'state'),
    'kubelet-dir': join(place.work, 'kubelet'),
    'shutdown-grace': '5000',
    probe: 'never',
  };
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const env = { CSI_ENDPOINT: `unix://${place.socket}` };
  const server = await startServer(
    readConfig(argv, env, hostname()),
    narrator.log,
    narrator.watched,
  );
  await server.driver.roots.all();
  return server;
}

async function withClient(narrator: Narrator, place: Place, server: RunningServer): Promise<void> {
  const client = connect(place.socket);
  const placeFor = async (name: string) => {
    const staging = join(place.work, 'kubelet', 'staging', name);
    const pod = join(place.work, 'kubelet', 'pods', name);
    for (const directory of [staging, pod]) await mkdir(directory, { recursive: true });
    return { staging, target: join(pod, 'mount') };
  };
  try {
    const { nodeId: node } = server.services;
    await playStory({ client, server, narrator, node, placeFor });
  } finally {
    client.close();
  }
}

async function checkDamage(narrator: Narrator, place: Place): Promise<void> {
  const status = await simulateStatus({ dir: place.simulator });
  if (status.damaged.length > 0)
    throw new Error(`the simulated file system was damaged: ${JSON.stringify(status.damaged)}`);
  narrator.say('The simulated file system noticed no damage: no clone parent was written or lost.');
}

async function stay(narrator: Narrator, place: Place, root: string, bin: string): Promise<void> {
  narrator.say(
    [
      '\nStill running, as you asked. From another terminal, for example:',
      `  PATH=${bin}:$PATH mmclone show ${root}/volumes/*/*`,
      `  grpcurl -plaintext -import-path proto -proto csi/v1/csi.proto unix://${place.socket} csi.v1.Controller/ListVolumes`,
      `  csi-sanity --csi.endpoint ${place.socket}`,
      'Ctrl-C ends it and cleans up.',
    ].join('\n'),
  );
  await new Promise((resolve) => {
    const alive = setInterval(() => undefined, 60_000);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        clearInterval(alive);
        resolve(undefined);
      });
  });
}

// The reader of the output may leave: the demo cleans up all the same.
process.stdout.on('error', () => undefined);
const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
await main(values.keep).catch((error: unknown) => {
  if (!(error instanceof DriverError)) throw error;
  process.stderr.write(`the demo ended: ${error.message}\n`);
  process.exitCode = 1;
});
