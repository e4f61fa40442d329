import { join } from 'node:path';
import { z } from 'zod';
import { kubeconfig } from './cluster/network.ts';
import { kubernetesFolder } from './setup/programs.ts';
import { sh } from './setup/shell.ts';
import type { Manner } from './setup/shell.ts';
import { until } from './setup/wait.ts';

/** Environment of programs that speak to the cluster. */
export const clusterEnv = (): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: kubeconfig('admin'),
  PATH: `${kubernetesFolder}:${process.env['PATH'] ?? ''}`,
});

/** Runs kubectl as the administrator of the cluster. */
export const kubectl = (args: readonly string[], manner: Manner = {}): Promise<string> =>
  sh([join(kubernetesFolder, 'kubectl'), ...args], {
    limitMs: 180_000,
    ...manner,
    env: clusterEnv(),
  });

/** A Kubernetes object as we write it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [key: string]: unknown;
}

/** Creates or changes objects. */
export async function apply(...manifests: readonly Manifest[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: manifests };
  await kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
}

/** A namespace that one case works in. */
export class Space {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  /** kubectl in this namespace. */
  kubectl(args: readonly string[], manner: Manner = {}): Promise<string> {
    return kubectl(['-n', this.name, ...args], manner);
  }
  /** Creates or changes objects in this namespace. */
  apply(...manifests: readonly Manifest[]): Promise<void> {
    const placed = manifests.map((each) => ({
      ...each,
      metadata: { ...each.metadata, namespace: this.name },
    }));
    return apply(...placed);
  }
  /** One value of an object, as a JSONPath names it; empty when it is not there. */
  get(what: string, path: string): Promise<string> {
    return this.kubectl(['get', what, '-o', `jsonpath={${path}}`]);
  }
  /** Waits until a value of an object is as wanted, and says what it was when it never is. */
  async reaches(what: string, path: string, wanted: string, limitMs = 60_000): Promise<void> {
    let last = '';
    await until(`${what} has ${path} = ${wanted}`, limitMs, async () => {
      last = await this.get(what, path);
      return last === wanted;
    }).catch(async (error: unknown) => {
      const events = await this.events(what);
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`${why}; it has "${last}"\n${events}`, { cause: error });
    });
  }
  /** What the cluster told about an object, newest last. */
  async events(what: string): Promise<string> {
    const [kind = '', name = ''] = what.split('/');
    const field = `involvedObject.name=${name}`;
    const out = await this.kubectl(['get', 'events', '--field-selector', field, '-o', 'json']);
    const { items } = eventList.parse(JSON.parse(out));
    return items.map(({ reason, message }) => `${kind} ${name}: ${reason}: ${message}`).join('\n');
  }
  /** Runs a shell command in a pod. */
  exec(pod: string, script: string): Promise<string> {
    return this.kubectl(['exec', pod, '--', 'sh', '-c', script]);
  }
  /** Deletes objects and waits until they are gone. */
  async remove(...what: readonly string[]): Promise<void> {
    await this.kubectl(['delete', '--wait=true', '--timeout=120s', '--ignore-not-found', ...what]);
  }
}

const eventList = z.object({
  items: z.array(z.object({ reason: z.string().nullish(), message: z.string().nullish() })),
});
