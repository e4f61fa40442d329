import { spawn } from 'node:child_process';
import { countsOf } from '../ci/counts.mjs';

/** What is tried, as a user types it. */
export const commands = {
  demo: () => 'npm run demo',
  test: ({ only }) => (only === undefined ? 'npm test' : `npm test -- --only ${only}`),
  e2e: () => 'npm run test:e2e',
};

// What a privileged container has: the folder is the root of a mount namespace, and not only of a process in it
// as after chroot, because nsenter enters a namespace at its root. The shell stays: it reaps what is left to process 1.
const script = `
set -e
mount --bind "$1" "$1"
cd "$1"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
pivot_root . mnt
cd /
umount --lazy /mnt
status=0
/bin/sh -c "$2" || status=$?
exit "$status"`;

/** A program and its arguments that do \`line\` in the system of a folder, and end whatever it starts. */
export function inside(folder, line, env) {
  const own = {
    ...{ HOME: '/root', LANG: 'C.UTF-8', TERM: 'dumb', DEBIAN_FRONTEND: 'noninteractive' },
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...env,
  };
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child'];
  return ['unshare', [...namespaces, 'sh', '-c', script, 'sh', folder, line], { env: own }];
}

/** Runs a command in the clone, shows what it prints, and resolves to how it ended. */
export async function runIn(folder, command, options, { env, signal }) {
  const line = `cd /home/gpfs-csi && ${commands[command](options)}`;
  const start = Date.now();
  const { status, output } = await show(...inside(folder, line, env), signal);
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  // The demo counts nothing.
  const ok = command === 'demo' ? status === 0 : countsOf(output, status).failed === 0;
  return { command, ok, seconds: (Date.now() - start) / 1000, last };
}

function show(program, args, options, signal) {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  // A terminal's Ctrl-C reaches what runs inside as well, and gives it time to clean up.
  const stop = () => setTimeout(() => child.kill('SIGKILL'), 60_000).unref();
  signal.addEventListener('abort', stop, { once: true });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    output = `${output}${text}`.slice(-4096);
  });
  child.stderr.pipe(process.stderr, { end: false });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      signal.removeEventListener('abort', stop);
      resolve({ status, output });
    });
  });
}
