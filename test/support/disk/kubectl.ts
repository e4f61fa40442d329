import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import type { Ended } from './command.ts';

/** A program on PATH that stands for kubectl and a cluster: objects lie in files, and `exec` runs the real driver here. */
export interface StandInCluster {
  /** Replaces the answer of `kubectl get KIND`; `KIND NAME` is that of one object. */
  set(what: string, object: unknown): Promise<void>;
  /** What `exec` of a command of the driver answers instead of running it. */
  answer(command: string, text: string): Promise<void>;
  /** The command lines that it got. */
  calls(): Promise<readonly (readonly string[])[]>;
  /** Runs `kubectl gpfs`. */
  gpfs(...argv: readonly string[]): Promise<Ended>;
}

// Like kubectl: one object or a list on standard output, or a complaint and status 1.
const program = `#!${process.execPath}
const { appendFileSync, existsSync, readFileSync } = require('node:fs');
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const argv = process.argv.slice(2).filter((word) => !word.startsWith('--context='));
const at = (name) => join(__dirname, '..', 'cluster', name);
appendFileSync(at('calls'), JSON.stringify(process.argv.slice(2)) + '\\n');
const words = argv.filter((word, n) => !/^-/.test(word) && !['-n', '-l', '-o', '--field-selector'].includes(argv[n - 1]));
if (argv.includes('exec')) {
  const pod = argv[argv.indexOf('exec') + 1];
  const [, command, ...rest] = argv.slice(argv.indexOf('--') + 1);
  if (existsSync(at('answer-' + command))) process.stdout.write(readFileSync(at('answer-' + command)));
  else {
    const env = JSON.parse(readFileSync(at('env'), 'utf8'));
    const node = pod.replace('driver-', '');
    const ran = spawnSync(process.execPath, [env.PROGRAM, command, ...rest], {
      env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin', ...env, GPFS_CSI_NODE_ID: node },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    process.exit(ran.status ?? 1);
  }
} else {
  const name = at(words.slice(1).join(' ') + '.json');
  if (existsSync(name)) process.stdout.write(readFileSync(name));
  else if (argv[0] === '-n') process.stdout.write('the log, password=hunter2\\n');
  else {
    process.stderr.write('Error from server (NotFound): ' + words.slice(1).join(' ') + ' not found\\n');
    process.exit(1);
  }
}
`;

/** Sets one up in a new directory; `env` is what the chart gives the container of the driver. */
export async function standInCluster(
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<StandInCluster> {
  const bin = join(directory, 'path');
  const cluster = join(directory, 'cluster');
  for (const each of [bin, cluster]) await mkdir(each, { recursive: true });
  await writeFile(join(bin, 'kubectl'), program);
  await chmod(join(bin, 'kubectl'), 0o755);
  await writeFile(join(cluster, 'env'), JSON.stringify({ ...env, PROGRAM: inject('program') }));
  await writeFile(join(cluster, 'calls'), '');
  const plugin = join(dirname(inject('program')), 'kubectl-gpfs.js');
  return {
    set: (what, object) => writeFile(join(cluster, `${what}.json`), JSON.stringify(object)),
    answer: (command, text) => writeFile(join(cluster, `answer-${command}`), text),
    calls: async () => {
      const lines = (await readFile(join(cluster, 'calls'), 'utf8')).trim().split('\n');
      return lines.map((line) => JSON.parse(line) as readonly string[]);
    },
    gpfs: async (...argv) => {
      const child = spawn(process.execPath, [plugin, ...argv], {
        env: { PATH: `${bin}:/usr/bin:/bin` },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said = { out: '', err: '' };
      child.stdout.on('data', (text: Buffer) => void (said.out += text.toString()));
      child.stderr.on('data', (text: Buffer) => void (said.err += text.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, ...said };
    },
  };
}
