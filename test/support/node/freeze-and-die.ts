// A driver in a container of its own: freezes a file system as the driver does, says so, and waits to be killed.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fsfreeze } from '../../../src/linux/fsfreeze.ts';
import { startCompanion } from '../../../src/run/companion.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { freezeMs } from '../../../src/store/freezes.ts';

const [group = '', procPath = '', path = '', device = ''] = process.argv.slice(2);
await writeFile(join(group, 'cgroup.procs'), '0');
const program = join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts');
const enter = [`--cgroup=${procPath}/ns/cgroup`, '--'];
// As long as the driver's: on a busy machine a shorter time would end before anything is frozen.
const ms = String(freezeMs);
const what = ['--path', path, '--device', device, '--ms', ms, '--join', procPath];
await startCompanion(['nsenter', ...enter, process.execPath, program, 'thaw', ...what]);
await fsfreeze(hostRun({ mmDirectory: '/nonexistent' })).freeze(path);
process.stdout.write('frozen\n');
setInterval(() => undefined, 60_000);
