// Removes what a run of the harness leaves: started by the harness beside itself, it waits until the pipe on its standard
// input ends, which happens at the end of the harness, however that comes.
import { setTimeout as sleep } from 'node:timers/promises';
import { removeExecutables } from '../../support/disk/executables.ts';
import { processesOf } from './processes.ts';
import { signal } from '../../support/disk/processes.ts';

const [, , work = ''] = process.argv;

// Ctrl-C is for the harness, whose end this waits for.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

const tries = 50;

/** Ends the processes of the run; those that wait for a disk take a moment. */
async function endAll(): Promise<void> {
  for (let n = 0; n < tries && processesOf(work).length > 0; n += 1) {
    for (const pid of processesOf(work)) signal(pid, 'SIGKILL');
    await sleep(100);
  }
}

async function clean(): Promise<void> {
  await endAll();
  await removeExecutables(work).catch(async () => {
    // A command that began before its server was killed may have held something until now.
    await sleep(2_000);
    await endAll();
    await removeExecutables(work);
  });
}

process.stdin.resume().on('end', () => {
  clean().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${work} could not be removed: ${String(error)}\n`);
      process.exit(1);
    },
  );
});
