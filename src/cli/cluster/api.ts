import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { DriverError } from '../../model/fault.ts';
import type { Environment } from '../command/settings.ts';

/** Where Kubernetes puts the account of a pod. */
export const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

const answerMs = 30_000;

const volumeList = z.object({
  metadata: z.object({ continue: z.string().default('') }),
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({
        csi: z.object({ driver: z.string() }).optional(),
        claimRef: z
          .object({ namespace: z.string().default(''), name: z.string().default('') })
          .optional(),
      }),
    }),
  ),
});

/** A PersistentVolume of a driver. */
export interface VolumeOfDriver {
  readonly name: string;
  /** Namespace and name of the claim that it is bound to, or was. */
  readonly claim?: string;
}

interface Api {
  readonly host: string;
  readonly port: string;
  readonly ca: string;
  readonly token: string;
}

/** All PersistentVolumes of a driver, asked of the API server with the account of this pod. Throws unavailable or misconfigured. */
export async function volumesOfDriver(
  driver: string,
  env: Environment,
  directory = accountDirectory,
): Promise<readonly VolumeOfDriver[]> {
  const api = await apiOfPod(env, directory);
  const found: VolumeOfDriver[] = [];
  let next: string | undefined = '';
  while (next !== undefined) {
    const page: z.output<typeof volumeList> = await get(api, next);
    const own = page.items.filter(({ spec }) => spec.csi?.driver === driver);
    for (const { metadata, spec } of own) {
      const { claimRef } = spec;
      const claim = claimRef && `${claimRef.namespace}/${claimRef.name}`;
      found.push({ name: metadata.name, ...(claim ? { claim } : {}) });
    }
    next = page.metadata.continue || undefined;
  }
  return found;
}

async function apiOfPod(env: Environment, directory: string): Promise<Api> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  if (host === undefined)
    throw new DriverError(
      'misconfigured',
      'this is no pod: KUBERNETES_SERVICE_HOST is not set; run it in the cluster',
    );
  const read = (name: string): Promise<string> =>
    readFile(join(directory, name), 'utf8').catch((error: unknown) => {
      const why = `this pod has no account for the API server: ${directory}/${name} cannot be read`;
      throw new DriverError('misconfigured', `${why}; give it a service account`, error);
    });
  const [ca, token] = await Promise.all([read('ca.crt'), read('token')]);
  return { host, port: env['KUBERNETES_SERVICE_PORT'] ?? '443', ca, token: token.trim() };
}

async function get(api: Api, next: string): Promise<z.output<typeof volumeList>> {
  const { status, body } = await answerOf(api, next).catch((error: unknown) => {
    const { message } = error as Error;
    throw unavailable(`does not answer (${message})`, error);
  });
  if (status !== 200) throw unavailable(`answers with ${status} to a list of persistent volumes`);
  const list = volumeList.safeParse(parsed(body));
  if (!list.success) throw unavailable('sends a list that cannot be read', list.error);
  return list.data;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

const unavailable = (what: string, cause?: unknown): DriverError =>
  new DriverError('unavailable', `the API server ${what}; try again`, cause);

async function answerOf(
  { host, port, ca, token }: Api,
  next: string,
): Promise<{ readonly status: number; readonly body: string }> {
  const query = new URLSearchParams({ limit: '500', continue: next });
  const asked = request({
    host,
    port,
    ca,
    path: `/api/v1/persistentvolumes?${query.toString()}`,
    headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    signal: AbortSignal.timeout(answerMs),
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve).once('error', reject).end();
  });
  return { status: response.statusCode ?? 0, body: await text(response) };
}
