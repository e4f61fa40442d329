import { beforeAll, describe, expect, test } from 'vitest';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { kept, more } from './cases.ts';
import { manifests, type Manifest } from './helm.ts';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly resources?: unknown;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly mountPropagation?: string;
  }[];
}

interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly hostPID?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
  }[];
}

interface Pod {
  readonly from: string;
  readonly spec: PodSpec;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Containers that touch loop devices and mounts: the driver, and what makes a simulated GPFS. */
const privileged = ['driver', 'simulator'];
/** It writes into a folder of the kubelet that belongs to root; off by default. */
const asRoot = ['registrar'];

const pods: Pod[] = [];
const objects: Manifest[] = [];

beforeAll(async () => {
  await goTool(helmTool);
  for (const [name, { values, options }] of Object.entries({ ...kept, ...more }))
    for (const object of await manifests(values, options)) {
      objects.push(object);
      const spec = podSpecOf(object);
      if (spec) pods.push({ from: `${name}: ${object.kind} ${object.metadata.name}`, spec });
    }
}, goToolLimitMs);

function podSpecOf({ kind, ...object }: Manifest): PodSpec | undefined {
  const spec = object['spec'] as { readonly template?: { readonly spec: PodSpec } } & PodSpec;
  if (kind === 'Pod') return spec;
  return ['DaemonSet', 'Deployment', 'Job'].includes(kind) ? spec.template?.spec : undefined;
}

const containersOf = ({ spec }: Pod): readonly Container[] => [
  ...spec.containers,
  ...(spec.initContainers ?? []),
];

describe('pods', () => {
  test('there are some to look at', () => {
    expect(pods.length).toBeGreaterThan(40);
  });

  test('only the driver and the simulator are privileged', () => {
    for (const pod of pods)
      for (const { name, securityContext } of containersOf(pod))
        expect(securityContext?.['privileged'] ?? false, `${pod.from}, ${name}`).toBe(
          privileged.includes(name),
        );
  });

  test('all others may nothing', () => {
    for (const pod of pods)
      for (const { name, securityContext } of containersOf(pod)) {
        if (privileged.includes(name)) continue;
        const merged = { ...pod.spec.securityContext, ...securityContext };
        expect(merged, `${pod.from}, ${name}`).toMatchObject({
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
          ...(asRoot.includes(name) ? { runAsUser: 0 } : { runAsNonRoot: true }),
        });
        expect(pod.spec.hostPID ?? false, `${pod.from}, ${name}`).toBe(false);
        expect(merged).not.toHaveProperty('capabilities.add');
      }
  });

  test('no root file system can be written', () => {
    for (const pod of pods)
      for (const { name, securityContext } of containersOf(pod))
        expect(securityContext, `${pod.from}, ${name}`).toMatchObject({
          readOnlyRootFilesystem: true,
        });
  });

  test('the sidecars write nothing at all', () => {
    for (const pod of pods.filter(({ from }) => from.includes('Deployment')))
      for (const { name, volumeMounts = [] } of containersOf(pod))
        expect(volumeMounts, `${pod.from}, ${name}`).toEqual([
          { name: 'socket', mountPath: '/csi', readOnly: true },
        ]);
  });

  test('the driver writes where it must, and mounts reach the host from two folders only', () => {
    for (const pod of pods) {
      const driver = containersOf(pod).find(({ name }) => name === 'driver');
      if (!driver) continue;
      const mounts = driver.volumeMounts ?? [];
      const kubelet = pod.spec.volumes.find(({ name }) => name === 'kubelet-pods')?.hostPath?.path;
      const both = mounts.filter(({ mountPropagation }) => mountPropagation === 'Bidirectional');
      expect(both.map(({ mountPath }) => mountPath)).toEqual([
        kubelet,
        kubelet?.replace(/pods$/, 'plugins'),
      ]);
      const writable = mounts.filter(({ readOnly }) => readOnly !== true).map(({ name }) => name);
      const known =
        /^(?:plugin|controller-socket|registration|kubelet-pods|kubelet-plugins|state|dev|tmp|gpfs-\d)$/;
      for (const name of writable) expect(name).toMatch(known);
    }
  });

  test('GPFS is mounted by the folder above it, and what comes and goes there is seen', () => {
    const gpfs = pods
      .filter(({ from }) => from.startsWith('everything: DaemonSet'))
      .flatMap((pod) => containersOf(pod))
      .flatMap(({ volumeMounts = [] }) => volumeMounts)
      .filter(({ name }) => name.startsWith('gpfs-'));
    expect(gpfs).toEqual([
      { name: 'gpfs-0', mountPath: '/gpfs', mountPropagation: 'HostToContainer' },
      { name: 'gpfs-1', mountPath: '/ibm', mountPropagation: 'HostToContainer' },
    ]);
  });

  test('no other namespace of the host than processes, and those for mm commands on the host', () => {
    for (const { from, spec } of pods) {
      expect(spec.hostNetwork ?? false, from).toBe(false);
      expect(spec.hostIPC ?? false, from).toBe(false);
      const direct = from.startsWith('mm commands in the container');
      expect(spec.hostPID ?? false, from).toBe(
        /DaemonSet \S+-node$|simulator-down$/.test(from) && !direct,
      );
    }
  });

  test('the sidecars of nodes have a pod of their own, with the folders of their sockets', () => {
    const found = pods.filter(({ from }) => from.endsWith('-node-sidecars'));
    expect(found.length).toBeGreaterThan(1);
    const folders: Readonly<Record<string, readonly string[]>> = {
      registrar: ['plugin ro', 'registration rw'],
      livenessprobe: ['controller-socket ro'],
    };
    for (const pod of found)
      for (const { name, volumeMounts = [] } of containersOf(pod))
        expect(
          volumeMounts.map((each) => `${each.name} ${each.readOnly === true ? 'ro' : 'rw'}`),
          `${pod.from}, ${name}`,
        ).toEqual(folders[name]);
  });

  test('only containers that connect to a socket of the driver have an SELinux type of their own', () => {
    const typed = new Set<string>();
    const onOpenShift = pods.filter(({ from }) => /OpenShift|openshift/.test(from));
    const connects = ({ name, volumeMounts = [] }: Container) =>
      name !== 'driver' && volumeMounts.some(({ mountPath }) => mountPath === '/csi');
    for (const { from, spec } of onOpenShift)
      expect(spec.securityContext ?? {}, from).not.toHaveProperty('seLinuxOptions');
    for (const container of onOpenShift.flatMap(containersOf)) {
      const own = container.securityContext?.['seLinuxOptions'];
      expect(own, container.name).toEqual(connects(container) ? { type: 'spc_t' } : undefined);
      if (own) typed.add(container.name);
    }
    expect([...typed].sort()).toEqual([
      'attacher',
      'livenessprobe',
      'provisioner',
      'registrar',
      'resizer',
      'snapshotter',
    ]);
  });

  test('a token of the API server is for the sidecars, and what an uninstall asks first', () => {
    for (const { from, spec } of pods) {
      expect(spec.automountServiceAccountToken !== false, from).toBe(
        /Deployment|-uninstall$/.test(from),
      );
      expect(spec.enableServiceLinks, from).toBe(false);
    }
  });

  test('every image can be named by its digest, and then is', async () => {
    const digest = (n: number) => `sha256:${String(n).padStart(64, '0')}`;
    const names = [
      'provisioner',
      'attacher',
      'snapshotter',
      'resizer',
      'registrar',
      'livenessprobe',
    ];
    const rendered = await manifests(
      {
        simulator: { enabled: true },
        image: { digest: digest(1) },
        test: { image: { digest: digest(2) } },
        sidecars: Object.fromEntries(
          names.map((name, n) => [
            name,
            {
              ...(['registrar', 'livenessprobe'].includes(name) ? { enabled: true } : {}),
              image: { digest: digest(n + 3) },
            },
          ]),
        ),
      },
      {},
    );
    const found = rendered.flatMap((object) => {
      const spec = podSpecOf(object);
      return spec ? containersOf({ from: '', spec }).map(({ image }) => image) : [];
    });
    for (const image of found) expect(image).toMatch(/^[^\s:@]+@sha256:0{63}[1-8]$/);
    expect(new Set(found.map((image) => image.at(-1)))).toEqual(new Set('12345678'));
  });

  test('images say which version', () => {
    for (const pod of pods)
      for (const { image } of containersOf(pod))
        expect(image).toMatch(/^[^\s:]+(?::[\w.-]+|@sha256:[0-9a-f]{64})$/);
  });

  test('what runs all the time asks for its resources', () => {
    for (const pod of pods.filter(({ from }) => /DaemonSet|Deployment/.test(from)))
      for (const { name, resources } of pod.spec.containers)
        expect(resources, `${pod.from}, ${name}`).toHaveProperty('requests.memory');
  });
});

describe('roles', () => {
  const rulesOf = (kind: string) =>
    objects
      .filter((object) => object.kind === kind)
      .flatMap(({ rules }) => rules as readonly Rule[]);

  test('nothing is granted as a whole, and no secret to anybody', () => {
    const rules = [...rulesOf('ClusterRole'), ...rulesOf('Role')];
    expect(rules.length).toBeGreaterThan(100);
    for (const { apiGroups, resources, verbs } of rules) {
      expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
      expect(resources).not.toContain('secrets');
      expect(verbs).not.toContain('deletecollection');
    }
  });

  test('only the provisioner deletes, and only persistent volumes', () => {
    const deleting = rulesOf('ClusterRole').filter(({ verbs }) => verbs.includes('delete'));
    expect(new Set(deleting.flatMap(({ resources }) => resources))).toEqual(
      new Set(['persistentvolumes']),
    );
  });

  test('what an uninstall asks first may list persistent volumes, and its account goes again', () => {
    const own = objects.filter(({ metadata }) => metadata.name.endsWith('-uninstall'));
    expect(own.length).toBeGreaterThan(20);
    for (const { kind, metadata, rules } of own) {
      const annotations = metadata['annotations'] as Readonly<Record<string, string>>;
      expect(annotations['helm.sh/hook']).toBe('pre-delete');
      expect(annotations['helm.sh/hook-delete-policy']).toContain('hook-succeeded');
      if (kind !== 'ClusterRole') continue;
      expect(rules).toEqual([
        { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['list'] },
      ]);
    }
  });

  test('the node pods get no role', () => {
    const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding'));
    expect(bindings.length).toBeGreaterThan(10);
    for (const { subjects } of bindings)
      for (const { name } of subjects as readonly { readonly name: string }[])
        expect(name).not.toMatch(/-node$|^a$/);
  });
});
