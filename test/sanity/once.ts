import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { damages, leftOn, serve, type Ground, type Server } from './ground.ts';
import { judge } from './report.ts';
import { makeSecrets, type Secrets } from './secrets.ts';

/** What csi-sanity can ask volumes for. */
export const accessTypes = ['mount', 'block'] as const;

/** One run of csi-sanity. */
export interface Plan {
  readonly access: (typeof accessTypes)[number];
  readonly seed: number;
  readonly withSecrets: boolean;
  readonly withTopology: boolean;
}

/** What a run showed; `log` is the tool's output and the server's, to be read when it failed. */
export interface Result {
  readonly line: string;
  readonly passed: number;
  readonly problems: readonly string[];
  readonly log: string;
}

// csi-sanity creates one volume more than this, which must be refused.
const maxVolumes = '6';

/** Runs csi-sanity once on a server of its own, then looks for what either left behind. */
export async function sanityRun(tool: string, ground: Ground, plan: Plan): Promise<Result> {
  const { access, seed, withSecrets, withTopology } = plan;
  const name = `${access}-${seed}${withSecrets ? '-s' : ''}${withTopology ? '-t' : ''}`;
  const folder = join(ground.dir, '..', name);
  const level = withSecrets ? 'debug' : 'info';
  const own = ['--node-id', 'sanity', '--max-volumes-per-node', maxVolumes, '--log-level', level];
  const topology = ['--topology', `${withTopology}`];
  const server = await serve(ground, name, [...own, ...topology]);
  const secrets = withSecrets ? await makeSecrets(folder) : undefined;
  const report = join(folder, 'report.json');
  const mutable = join(folder, 'mutable.yaml');
  await writeFile(mutable, 'pool: data\nmaxCloneDepth: "12"\n');
  const common = toolFlags(server, folder, plan, secrets);
  const flags = [...common, `--csi.testvolumemutableparameters=${mutable}`];
  const output = await runTool(tool, [...flags, `--ginkgo.json-report=${report}`]);
  const verdict = judge(JSON.parse(await readFile(report, 'utf8')));
  const left = await leftOn(ground);
  const end = await server.stop();
  const log = await server.readLog();
  const checks = [left, end, await damages(ground), ...(secrets ? [shown(secrets, log)] : [])];
  const problems = [...verdict.problems, ...checks.flat()];
  const passed = verdict.passed + checks.filter((found) => found.length === 0).length;
  const counts = `${verdict.passed} passed, ${verdict.problems.length} failed, ${verdict.skipped} skipped`;
  return {
    line: `csi-sanity ${access}, seed ${seed}${withSecrets ? ', secrets' : ''}${withTopology ? ', topology' : ''}: ${counts}, ${verdict.pending} pending`,
    passed,
    problems,
    log: `--- csi-sanity\n${output}\n--- the server's log\n${log}`,
  };
}

function toolFlags(
  { endpoint }: Server,
  folder: string,
  { access, seed }: Plan,
  secrets: Secrets | undefined,
): readonly string[] {
  return [
    `--csi.endpoint=${endpoint}`,
    // The tool makes these two itself, and refuses to start when they are there.
    `--csi.mountdir=${join(folder, 'kubelet', 'mount')}`,
    `--csi.stagingdir=${join(folder, 'kubelet', 'staging')}`,
    `--csi.testvolumeaccesstype=${access}`,
    '--csi.testnodevolumeattachlimit',
    ...(secrets ? [`--csi.secrets=${secrets.file}`] : []),
    '--ginkgo.randomize-all',
    `--ginkgo.seed=${seed}`,
    '--ginkgo.no-color',
  ];
}

// The report shows each failure. Only a missing report is an error here.
async function runTool(tool: string, flags: readonly string[]): Promise<string> {
  const options = { timeout: 10 * 60_000, maxBuffer: 64 * 2 ** 20 };
  const { stdout, stderr } = await promisify(execFile)(tool, flags, options).catch(
    (error: unknown) => error as { readonly stdout: string; readonly stderr: string },
  );
  return stdout + stderr;
}

const shown = (secrets: Secrets, log: string): readonly string[] =>
  secrets.foundIn(log).map((kind) => `the server's log shows the value of ${kind}`);
