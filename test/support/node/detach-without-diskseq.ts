// Runs in its own mount namespace: hides the diskseq of a loop device, as a kernel before 5.15 has none, then detaches
// the device as the driver does. Prints whether the driver takes it for attached before and after.
import { basename } from 'node:path';
import type { Loop } from '../../../src/linux/loop.ts';
import { losetup } from '../../../src/linux/losetup.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';

const [path = '', file = '', device = '', inode = ''] = process.argv.slice(2);
const run = hostRun({ mmDirectory: '/nonexistent' });
// A read of it is empty.
await run(['mount', '--bind', '/dev/null', `/sys/block/${basename(path)}/diskseq`], 'write');

// The driver's timers keep no process alive; its server, which is missing here, does.
const alive = setInterval(() => undefined, 1_000);
const loops = losetup(run, systemClock);
const backing = { device: BigInt(device), inode: BigInt(inode) };
const loop: Loop = { path, diskseq: '', readonly: false, file, backing };
const before = await loops.isAttached(loop);
await loops.detach(loop);
const after = await loops.isAttached(loop);
clearInterval(alive);
process.stdout.write(`${before ? 'attached' : 'gone'}, then ${after ? 'attached' : 'gone'}\n`);
