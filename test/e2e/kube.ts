import { join } from 'node:path';
import { get, list, pathOf, valueAt } from './api.ts';
import { kubeconfig } from './cluster/network.ts';
import { kubernetesFolder } from './setup/programs.ts';
import { sh, type Manner } from './setup/shell.ts';
import { patienceMs, until } from './setup/wait.ts';

/** Environment of programs that speak to the cluster. */
export const clusterEnv = (): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: kubeconfig('admin'),
  PATH: `${kubernetesFolder}:${process.env['PATH'] ?? ''}`,
});

/** Runs kubectl as the administrator of the cluster. */
export const kubectl = (args: readonly string[], manner: Manner = {}): Promise<string> =>
  sh([join(kubernetesFolder, 'kubectl'), ...args], {
    limitMs: 2 * patienceMs,
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
  /** One value of an object, as `pod/a` and `.status.phase`; empty when it is not there. */
  async get(what: string, path: string): Promise<string> {
    return valueAt(await get(pathOf(what, this.name)), path);
  }
  /** Waits until a value of an object is this one. When that takes too long, the error names the value it had. */
  async reaches(what: string, path: string, wanted: string, limitMs = patienceMs): Promise<void> {
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
  /** The events of an object. */
  async events(what: string): Promise<string> {
    const [kind = '', name = ''] = what.split('/');
    const path = `${pathOf('event', this.name)}?fieldSelector=involvedObject.name%3D${name}`;
    const lines = (await list(path)).map(
      (event) => `${kind} ${name}: ${valueAt(event, 'reason')}: ${valueAt(event, 'message')}`,
    );
    return lines.join('\n');
  }
  /** Runs a shell command in a pod. */
  exec(pod: string, script: string): Promise<string> {
    return this.kubectl(['exec', pod, '--', 'sh', '-c', script]);
  }
  /** Deletes objects and waits until they are gone. */
  async remove(...what: readonly string[]): Promise<void> {
    await this.kubectl(['delete', ...andWait, '--ignore-not-found', ...what]);
  }
}

/** For `kubectl delete`: until the objects are gone. */
const andWait = ['--wait=true', `--timeout=${patienceMs / 1000}s`] as const;
