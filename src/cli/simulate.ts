import { messageOf } from '../model/fault.ts';
import { parseArgs } from 'node:util';
import { GiB, KiB, MiB, TiB, type Bytes } from '../model/bytes.ts';
import { hostRun } from '../run/host-run.ts';
import type { Run } from '../run/run.ts';
import { simulateDown } from '../simulator/disk/lifecycle/down.ts';
import type { Description } from '../simulator/disk/state/layout.ts';
import { readPersonality, readSetting } from '../simulator/core/personality.ts';
import { simulateStatus } from '../simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../simulator/disk/lifecycle/up.ts';
import { UsageError } from './command/config.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';

const help = `usage: gpfs-csi simulate up     [--dir D] [--size 20G] [--release 4.1|5.0|5.2|6.0]
                                [--latency MS] [--set KEY=VALUE]... [--json]
       gpfs-csi simulate down   [--dir D] [--force] [--json]
       gpfs-csi simulate status [--dir D] [--json]

A simulated GPFS to try the driver on: an XFS file system on a file in D, and the commands of
GPFS as executables in D/bin. Needs root. up also completes a start that was interrupted; down
removes everything, including all data. docs/simulator.md lists the settings of --set.

  --dir D        directory of the simulator; default $GPFS_CSI_DIR or /var/tmp/gpfs-csi-simulator
  --size SIZE    size of the file system, on a sparse file; default 20G
  --release R    release of GPFS whose output the commands print; default 5.2
  --latency MS   least time of each command, in ms; default 0, 300 is realistic
  --force        down: also detaches volumes that a driver left attached
  --json         one JSON object on standard output

Exit status of status: 0 when the simulator is up and undamaged, else 1.`;

const options = {
  dir: { type: 'string' },
  size: { type: 'string' },
  release: { type: 'string' },
  latency: { type: 'string' },
  set: { type: 'string', multiple: true },
  force: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parse>['values'];

interface Work {
  readonly run: Run;
  readonly dir: string;
  readonly values: Values;
  readonly terminal: Terminal;
}

const verbs = { up, down, status } as const satisfies Record<
  string,
  (work: Work) => Promise<number>
>;

/** `gpfs-csi simulate`: starts a simulated GPFS, and removes it again. */
export const simulate: Subcommand = {
  summary: 'run a simulated GPFS on this machine: up, down, status',
  help,
  run: async (argv, terminal) => {
    const { values, positionals } = parse(argv);
    const [verb = '', ...more] = positionals;
    const act = Object.hasOwn(verbs, verb) ? verbs[verb as keyof typeof verbs] : undefined;
    if (!act || more.length > 0) throw new UsageError('simulate takes one of up, down, status');
    const dir = values.dir ?? terminal.env['GPFS_CSI_DIR'] ?? '/var/tmp/gpfs-csi-simulator';
    const run = hostRun({ mmDirectory: `${dir}/bin` });
    return act({ run, dir, values, terminal });
  },
};

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

async function up({ run, dir, values, terminal }: Work): Promise<number> {
  const size = values.size === undefined ? {} : { size: parseSize(values.size) };
  const made = await simulateUp({ run, dir, ...size, personality: settings(values) });
  if (values.json) terminal.out(JSON.stringify(answerOf(made)));
  else {
    terminal.out(`a simulated GPFS is mounted at ${made.mount}; its commands are in ${made.bin}`);
  }
  return 0;
}

const answerOf = ({ mount, bin, device, pools, fileset, filesetPath, dir }: Description) => ({
  mount,
  bin,
  device,
  pools,
  fileset,
  filesetPath,
  dir,
  mountType: 'xfs',
});

async function down({ run, dir, values, terminal }: Work): Promise<number> {
  await simulateDown({ run, dir, force: values.force ?? false });
  if (values.json) terminal.out(JSON.stringify({ state: 'down' }));
  else terminal.out(`nothing of a simulator is left in ${dir}`);
  return 0;
}

async function status({ dir, values, terminal }: Work): Promise<number> {
  const { description, ...found } = await simulateStatus({ dir });
  const known = description ? answerOf(description) : {};
  if (values.json) terminal.out(JSON.stringify({ ...found, ...known }));
  else terminal.out([found.state, ...found.reasons].join('\n'));
  return found.state === 'up' ? 0 : 1;
}

function settings(values: Values): Readonly<Record<string, unknown>> {
  const release = values.release === undefined ? [] : [`release=${values.release}`];
  const latency = values.latency === undefined ? [] : [`latencyMs=${values.latency}`];
  try {
    const given = [...release, ...latency, ...(values.set ?? [])].map(readSetting);
    const personality = Object.fromEntries(given);
    readPersonality(personality);
    return personality;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

const units: Readonly<Record<string, Bytes>> = { '': 1n, K: KiB, M: MiB, G: GiB, T: TiB };

function parseSize(text: string): Bytes {
  const [, digits, unit = ''] = /^(\d+)([KMGT]?)(?:iB)?$/.exec(text) ?? [];
  const factor = units[unit];
  if (digits === undefined || factor === undefined) {
    throw new UsageError(`${text} is no size; write it like 20G`);
  }
  return BigInt(digits) * factor;
}
