import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { kubeconfig } from './cluster/network.ts';

/** The fields that we read of any object. */
export interface Seen {
  readonly kind?: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [key: string]: unknown;
}

/** A change that a watch reports. */
export interface Change {
  readonly type: string;
  readonly object: Seen;
}

const admin = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), 'certificate-authority': z.string() }) }),
  ]),
  users: z.tuple([z.object({ user: z.object({ token: z.string() }) })]),
});

// Keeps connections open: most requests here are repeated four times a second.
const agent = new Agent({ keepAlive: true });

interface Access {
  readonly server: string;
  readonly ca: string;
  readonly token: string;
}
const known = new Map<string, Access>();

// Each cluster makes keys of its own, and a process may see several.
async function access(): Promise<Access> {
  const text = await readFile(kubeconfig('admin'), 'utf8');
  const before = known.get(text);
  if (before !== undefined) return before;
  const { clusters, users } = admin.parse(JSON.parse(text));
  const { server, 'certificate-authority': file } = clusters[0].cluster;
  const made = { server, ca: await readFile(file, 'utf8'), token: users[0].user.token };
  known.set(text, made);
  return made;
}

async function open(path: string, signal?: AbortSignal): Promise<IncomingMessage> {
  const { server, ca, token } = await access();
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = {
    ca,
    agent,
    headers,
    ...(signal === undefined ? { timeout: 60_000 } : { signal }),
  };
  const asked = request(new URL(path, server), options, resolve);
  asked.on('timeout', () => asked.destroy(new Error(`the API server does not answer ${path}`)));
  asked.on('error', reject);
  asked.end();
  return promise;
}

async function read(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of answer.setEncoding('utf8')) text += String(part);
  return text;
}

/** The object at a path, by GET; undefined when there is none. */
export async function get(path: string): Promise<unknown> {
  const answer = await open(path);
  const text = await read(answer);
  if (answer.statusCode === 404) return undefined;
  if (answer.statusCode !== 200) throw new Error(`GET ${path}: ${answer.statusCode} ${text}`);
  return JSON.parse(text) as unknown;
}

/** Objects of one kind. */
export async function list(path: string): Promise<readonly Seen[]> {
  const found = (await get(path)) as { readonly items: readonly Seen[] } | undefined;
  return found?.items ?? [];
}

/**
 * Reports each change of the objects at a path, beginning with the existing objects. Once the watch has begun, resolves
 * to the function that ends it. It begins with the API server's cache: newer state would need a newer etcd.
 */
export async function watch(path: string, tell: (change: Change) => void): Promise<() => void> {
  const stopping = new AbortController();
  const answer = await open(
    `${path}?watch=true&resourceVersion=0&timeoutSeconds=3600`,
    stopping.signal,
  );
  if (answer.statusCode !== 200) throw new Error(`watching ${path}: ${await read(answer)}`);
  // The caller that waits for a change reports that it never came, so the end of the stream is not reported.
  answer.on('error', () => undefined);
  createInterface({ input: answer })
    .on('line', (line) => {
      tell(JSON.parse(line) as Change);
    })
    .on('error', () => undefined);
  return () => {
    stopping.abort();
  };
}

/** The value at a path as `.status.phase`, as text; empty where there is none. */
export function valueAt(object: unknown, path: string): string {
  const keys = path.split('.').filter((key) => key !== '');
  const value = keys.reduce<unknown>(
    (each, key) => (each as Readonly<Record<string, unknown>> | undefined)?.[key],
    object,
  );
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const withConditions = z.object({
  status: z.object({
    conditions: z.array(z.object({ type: z.string(), status: z.string() })),
  }),
});

/** The status of one condition of an object, as `True`; empty where it has none of that type. */
export function conditionOf(object: unknown, type: string): string {
  const { data } = withConditions.safeParse(object);
  return data?.status.conditions.find((each) => each.type === type)?.status ?? '';
}

const places: Readonly<Record<string, string>> = {
  pod: 'api/v1/namespaces/NS/pods',
  pvc: 'api/v1/namespaces/NS/persistentvolumeclaims',
  event: 'api/v1/namespaces/NS/events',
  serviceaccount: 'api/v1/namespaces/NS/serviceaccounts',
  volumesnapshot: 'apis/snapshot.storage.k8s.io/v1/namespaces/NS/volumesnapshots',
  lease: 'apis/coordination.k8s.io/v1/namespaces/NS/leases',
  daemonset: 'apis/apps/v1/namespaces/NS/daemonsets',
  pv: 'api/v1/persistentvolumes',
  node: 'api/v1/nodes',
  csinode: 'apis/storage.k8s.io/v1/csinodes',
  volumeattachment: 'apis/storage.k8s.io/v1/volumeattachments',
  volumesnapshotcontent: 'apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents',
};

/** Where the API has objects of a kind, or one of them: `pod` or `pod/name`. */
export function pathOf(what: string, namespace: string): string {
  const [kind = '', name] = what.split('/');
  const place = places[kind];
  if (place === undefined) throw new Error(`no place known for ${kind}`);
  const path = `/${place.replace('NS', namespace)}`;
  return name === undefined ? path : `${path}/${name}`;
}
