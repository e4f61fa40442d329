import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../model/fault.ts';
import { scrubber } from '../../observe/scrub.ts';
import { errnoOf } from '../../run/files.ts';
import { inParallel } from '../../run/parallel.ts';
import {
  driverPods,
  lineOf,
  PluginError,
  type Cluster,
  type DriverPod,
  type PodChoice,
} from './cluster.ts';

/** Where the archives go, and whether names are replaced. */
export interface BundleQuery extends PodChoice {
  readonly directory: string;
  readonly rename: boolean;
}

const mostBytes = 20 * 1024 ** 2;
const limitMs = 15 * 60_000;
const atOnce = 4;

/** Objects of the cluster that belong to a ticket. Secrets are never among them. */
const objects = [
  'pods -A -l app.kubernetes.io/component=node',
  'pv',
  'pvc -A',
  'volumeattachments',
  'storageclasses',
  'csidrivers',
  'csinodes',
  'volumesnapshotcontents.snapshot.storage.k8s.io',
] as const;

/** One archive for each pod of the driver in a new directory, with what the API says. Resolves to the list of contents. */
export async function supportBundles(
  cluster: Cluster,
  query: BundleQuery,
): Promise<readonly string[]> {
  const pods = await driverPods(cluster, query);
  await makeNew(query.directory);
  const salt = randomBytes(16).toString('hex');
  const lines = await inParallel([...pods.entries()], atOnce, async ([n, pod]) =>
    nodeLine(await fromNode(cluster, pod, { ...query, salt }), {
      pod,
      file: fileOf(query, pod, n),
      directory: query.directory,
    }),
  );
  const more = query.rename
    ? ['objects of the API and logs of pods are left out: names in them would not be replaced']
    : [
        ...(await fromApi(cluster, query.directory)),
        ...(await logsOf(cluster, pods, query.directory)),
      ];
  const list = [...lines, ...more];
  await writeNew(join(query.directory, 'MANIFEST.txt'), `${list.join('\n')}\n`);
  return list;
}

async function makeNew(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new PluginError(`${directory} is there already; name a new directory`);
  }
}

const writeNew = (path: string, content: string | Uint8Array): Promise<void> =>
  writeFile(path, content, { flag: 'wx', mode: 0o600 });

/** With --rename the name of a node is none for a file. */
const fileOf = ({ rename }: BundleQuery, { node }: DriverPod, n: number): string =>
  !rename && /^[a-z0-9][a-z0-9.-]{0,200}$/.test(node) ? `${node}.tar.gz` : `node-${n}.tar.gz`;

interface NodeFilePlace {
  readonly pod: DriverPod;
  readonly file: string;
  readonly directory: string;
}

async function nodeLine(
  answer: Buffer | string,
  { file, directory }: NodeFilePlace,
): Promise<string> {
  if (typeof answer === 'string') return `${file} could not be had: ${answer}`;
  await writeNew(join(directory, file), answer);
  return `${file}: ${answer.length} bytes`;
}

/** The archive of one node, or why it could not be had. */
async function fromNode(
  cluster: Cluster,
  pod: DriverPod,
  { rename, salt }: BundleQuery & { readonly salt: string },
): Promise<Buffer | string> {
  const argv = ['support-bundle', '--file', '-', ...(rename ? ['--rename', '--salt', salt] : [])];
  const answer = await cluster.exec(pod, argv, { mostBytes, limitMs }).catch(messageOf);
  if (typeof answer === 'string') return answer;
  const { out, status, err, cut } = answer;
  if (cut === 'size') return `it is larger than ${mostBytes} bytes`;
  if (cut === 'time') return `no end within ${limitMs / 60_000} minutes`;
  // The first bytes of gzip (RFC 1952, 2.3.1).
  const isArchive = out[0] === 0x1f && out[1] === 0x8b;
  return status === 0 && isArchive ? out : lineOf(err, 2000);
}

async function fromApi(cluster: Cluster, directory: string): Promise<readonly string[]> {
  const scrub = scrubber([]);
  const lines: string[] = [];
  for (const what of objects) {
    const file = `${what.replace(/[. ].*$/, '')}.json`;
    try {
      const found = scrub.value(await cluster.get(...what.split(' ')));
      const text = JSON.stringify(found, null, 1);
      await writeNew(join(directory, file), text.slice(0, mostBytes));
      lines.push(`${file}: ${what}${text.length > mostBytes ? ', the beginning of it' : ''}`);
    } catch (error) {
      lines.push(`${file} could not be had: ${lineOf(messageOf(error), 500)}`);
    }
  }
  return lines;
}

async function logsOf(
  cluster: Cluster,
  pods: readonly DriverPod[],
  directory: string,
): Promise<readonly string[]> {
  const scrub = scrubber([]);
  return inParallel([...pods.entries()], atOnce, async ([n, pod]) => {
    const file = `${fileOf({ rename: false, directory, namespace: '', release: '' }, pod, n).replace(/\.tar\.gz$/, '')}.log`;
    const answer = await cluster.logs(pod, 'driver').catch(messageOf);
    if (typeof answer === 'string' || answer.status !== 0)
      return `${file} could not be had: ${lineOf(typeof answer === 'string' ? answer : answer.err, 500)}`;
    await writeNew(join(directory, file), scrub.text(answer.out.toString('utf8')));
    return `${file}: the last lines of the driver's log`;
  });
}
