// Runs in its own mount namespace: mounts an almost empty /dev, then attaches a file as the driver does.
import { readdir } from 'node:fs/promises';
import { losetup } from '../../../src/linux/losetup.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';

const [dev = '', image = ''] = process.argv.slice(2);
const run = hostRun({ mmDirectory: '/nonexistent' });

await run(['mount', '-t', 'tmpfs', 'tmpfs', dev], 'write');
await run(['mknod', `${dev}/null`, 'c', '1', '3'], 'write');
await run(['mknod', `${dev}/loop-control`, 'c', '10', '237'], 'write');
await run(['mount', '--bind', dev, '/dev'], 'write');

// The driver's timers keep no process alive; its server, which is missing here, does.
const alive = setInterval(() => undefined, 1_000);
const loops = losetup(run, systemClock);
const nodesOfLoops = async () => (await readdir('/dev')).filter((name) => /^loop\d+$/.test(name));
const before = await nodesOfLoops();
const loop = await loops.attach(image, { readonly: false });
// Other programs on this kernel may take a free device first, so the driver may make more than one node.
const nodes = await nodesOfLoops();
await loops.detach(loop);
const own = before.length === 0 && nodes.map((name) => `/dev/${name}`).includes(loop.path);
clearInterval(alive);
process.stdout.write(
  `attached ${loop.path}, ${own ? 'a node of its own' : nodes.join(' ')}; gone again\n`,
);
