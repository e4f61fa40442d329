// An earlier driver process of a node, as far as its successor is concerned: holds its lifeline until it is ended.
// With `stays` it takes no notice of SIGTERM.
import { silentLog } from '../../../src/observe/log.ts';
import { succeed } from '../../../src/cli/server/succession.ts';
import { hostRun } from '../../../src/run/host-run.ts';

const [stateDirectory = '', how] = process.argv.slice(2);
if (how === 'stays') process.on('SIGTERM', () => undefined);
const run = hostRun({ mmDirectory: '/nonexistent' });
await succeed({ run, log: silentLog, stateDirectory });
process.stdout.write('ready\n');
setInterval(() => undefined, 60_000);
