import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { timed } from '../measure.ts';
import type { Bench, Found } from '../part.ts';
import type { Server } from '../server.ts';

const run = promisify(execFile);
const main = join(import.meta.dirname, '../../../src/cli/main.ts');
const diskBytes = 10 * 2 ** 30;
const dataBytes = 128 * 2 ** 20;

/** Volumes of one golden image: how long they take, what they occupy, which processes they cost. */
export function images(bench: Bench): Promise<Found> {
  return bench.withServer(
    'images',
    async (server) => {
      const folder = await mkdtemp(join(tmpdir(), 'gpfs-csi-image-'));
      try {
        return await measure(bench, server, await makeQcow2(folder));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    'debug',
  );
}

/** A disk of 10 GiB with some data in it. */
async function makeQcow2(folder: string): Promise<string> {
  const [raw, qcow2] = [join(folder, 'disk.raw'), join(folder, 'disk.qcow2')];
  const handle = await open(raw, 'wx');
  const chunk = Buffer.alloc(2 ** 20, 'data');
  for (let at = 0; at < dataBytes; at += chunk.length)
    await handle.write(chunk, 0, chunk.length, at * 8);
  await handle.truncate(diskBytes);
  await handle.close();
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2]);
  await rm(raw);
  return qcow2;
}

async function measure(bench: Bench, server: Server, file: string): Promise<Found> {
  const { csi, root } = server;
  const n = bench.quick ? 10 : 100;
  bench.say('a qcow2 image of 10 GiB, imported');
  const flags = ['--root', root, '--mm-dir', bench.ground.simulator.bin, '--mm-runner', 'direct'];
  const argv = ['image', 'import', file, '--name', 'golden', '--format', 'qcow2', ...flags];
  const began = performance.now();
  await run(process.execPath, [main, ...argv]);
  const importMs = performance.now() - began;
  bench.say(`${n} volumes of it`);
  const parameters = { image: 'golden' };
  const bytes = BigInt(diskBytes);
  await csi.create('first', { bytes, parameters });
  const [commands, used] = [server.commands().length, await usedBytes(root)];
  const numbers = Array.from({ length: n }, (_, at) => at);
  const made = await timed('create from a 10 GiB image', 1, numbers, (at) =>
    csi.create(`pvc-${at}`, { bytes, parameters }),
  );
  const more = (await usedBytes(root)) - used;
  const started = server.commands().slice(commands);
  return {
    timings: [made],
    figures: [
      { what: 'import of the image', value: importMs / 1000, unit: 's' },
      { what: `processes for ${n} volumes of it`, value: started.length, unit: 'processes' },
      { what: `space for ${n} volumes of it`, value: more / 2 ** 20, unit: 'MiB' },
    ],
  };
}

async function usedBytes(path: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(path);
  return (blocks - bfree) * bsize;
}
