import { beforeAll, expect, test } from 'vitest';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { render, type Values } from './helm.ts';

beforeAll(() => goTool(helmTool), goToolLimitMs);

const roots = ['/gpfs/fs1/csi'];

const wrong: readonly (readonly [what: string, values: Values, why: RegExp])[] = [
  ['no roots', {}, /roots is empty: name the GPFS directories/],
  [
    'groups of snapshots without snapshots',
    { roots, snapshots: 'never', groupSnapshots: 'always' },
    /the snapshotter that would take them does not run/,
  ],
  ['a misspelt value', { roots, root: '/gpfs' }, /additional properties 'root' not allowed/],
  ['a misspelt value inside', { roots, node: { nodeselector: {} } }, /'nodeselector' not allowed/],
  ['a misspelt value of a sidecar', { roots, sidecars: { provisoner: {} } }, /'provisoner'/],
  ['a misspelt value of an image', { roots, image: { tags: 'v1' } }, /'tags' not allowed/],
  [
    'a root that is no absolute path',
    { roots: ['gpfs/fs1'] },
    /roots\[0\] is "gpfs\/fs1", and must be an absolute path of two elements or more/,
  ],
  [
    'a root that climbs',
    { roots: ['/gpfs/../etc'] },
    /roots\[0\] is "\/gpfs\/..\/etc", and must be/,
  ],
  [
    'a root with a comma',
    { roots: ['/gpfs/a,b'] },
    /roots\[0\] is "\/gpfs\/a,b", .* without commas/,
  ],
  ['a root twice', { roots: [...roots, ...roots] }, /roots.*items at 0 and 1 are equal/s],
  ['roots as a number', { roots: 5 }, /roots.*got number, want string or array/s],
  ['roots as an empty text', { roots: '' }, /roots is empty: name the GPFS directories/],
  ['roots as a text that is no path', { roots: 'gpfs' }, /roots\[0\] is "gpfs", and must be/],
  [
    'a root outside of the mount points',
    { roots, mountPoints: ['/ibm/fs'] },
    /root \/gpfs\/fs1\/csi lies in none of mountPoints \(\/ibm\/fs\)/,
  ],
  [
    'a mount point in a folder of the system',
    { roots: ['/var/mnt/csi'] },
    /lies directly in \/var, which cannot be mounted/,
  ],
  [
    'a mount point in a folder that holds the programs of the driver',
    { roots: ['/usr/local/x'] },
    /mount point \/usr\/local lies in \/usr, which the driver or the system needs for itself/,
  ],
  [
    'the same by name',
    { roots: ['/usr/local/x/csi'], mountPoints: ['/usr/local/x'] },
    /mount point \/usr\/local\/x lies in \/usr,/,
  ],
  [
    'a mount point in the folder of the driver itself',
    { roots: ['/opt/gpfs-csi/fs1/csi'], mountPoints: ['/opt/gpfs-csi/fs1'] },
    /mount point \/opt\/gpfs-csi\/fs1 lies in \/opt\/gpfs-csi,/,
  ],
  [
    'a mount point in the folder of the kubelet',
    { roots: ['/data/k/x/fs1/csi'], mountPoints: ['/data/k/x/fs1'], kubeletDir: '/data/k' },
    /mount point \/data\/k\/x\/fs1 lies in \/data\/k,/,
  ],
  [
    'a mount point where everybody may write',
    { roots: ['/tmp/a/fs1/csi'], mountPoints: ['/tmp/a/fs1'] },
    /mount point \/tmp\/a\/fs1 lies in \/tmp,/,
  ],
  ['a mount point in /', { roots, mountPoints: ['/gpfs'] }, /lies directly in \//],
  [
    'a class of an unknown root',
    { roots, storageClasses: [{ name: 'a', parameters: { root: '/gpfs/fs2' } }] },
    /storage class a names root \/gpfs\/fs2, which is not one of roots: \/gpfs\/fs1\/csi/,
  ],
  [
    'topology with the registrar',
    { roots, topology: { enabled: true }, sidecars: { registrar: { enabled: true } } },
    /topology.enabled and sidecars.registrar.enabled exclude each other/,
  ],
  [
    'two default classes',
    {
      roots,
      storageClasses: [
        { name: 'a', default: true },
        { name: 'b', default: true },
      ],
    },
    /more than one/,
  ],
  [
    'an unknown class parameter',
    { roots, storageClasses: [{ name: 'a', parameters: { replicas: '2' } }] },
    /'replicas' not allowed/,
  ],
  [
    'four replicas',
    { roots, storageClasses: [{ name: 'a', parameters: { dataReplicas: 4 } }] },
    /dataReplicas/,
  ],
  [
    'a file system we do not have',
    { roots, storageClasses: [{ name: 'a', fsType: 'zfs' }] },
    /fsType/,
  ],
  [
    'a class without a name',
    { roots, storageClasses: [{ fsType: 'xfs' }] },
    /missing property 'name'/,
  ],
  [
    'parameters of a snapshot class',
    { roots, volumeSnapshotClasses: [{ name: 'a', parameters: { x: 'y' } }] },
    /'parameters' not allowed/,
  ],
  [
    'a driver name with a slash',
    { roots, driverName: 'a/b' },
    /driverName is "a\/b", and must be 2 to 63/,
  ],
  ['a driver name that ends with a digit', { roots, driverName: 'gpfs1' }, /driverName is "gpfs1"/],
  ['a digest that is none', { roots, image: { digest: 'sha256:abc' } }, /image\.digest is/],
  [
    'a tag with a digest in it',
    { roots, image: { tag: 'v1@sha256:abc' } },
    /image\.tag is .* digest has/,
  ],
  ['a number as text', { roots, controller: { replicas: '2' } }, /replicas/],
  ['a way to upgrade', { roots, node: { updateStrategy: 'Recreate' } }, /updateStrategy/],
  ['a way to spread', { roots, controller: { spread: 'maybe' } }, /spread/],
  ['no replica', { roots, controller: { replicas: 0 } }, /replicas/],
  ['sidecars as root', { roots, controller: { group: 0 } }, /group/],
  [
    'a duration without its unit',
    { roots, sidecars: { timeout: '120' } },
    /sidecars\.timeout is "120"/,
  ],
  ['a switch that is neither', { roots, snapshots: true }, /snapshots/],
  ['a port that is none', { roots, node: { httpPort: 70_000 } }, /httpPort/],
  ['a label that is no text', { roots, commonLabels: { a: 1 } }, /commonLabels/],
  ['a log level', { roots, logLevel: 'verbose' }, /logLevel/],
  ['a log format', { roots, logFormat: 'xml' }, /logFormat/],
  ['a runner', { roots, mmRunner: 'ssh' }, /mmRunner/],
  [
    'sidecars that give up before the driver',
    { roots, sidecars: { timeout: '60s' } },
    /sidecars.timeout is 60s, and the driver may take 110000 ms/,
  ],
  [
    'a simulator of no size',
    { simulator: { enabled: true, size: '20 GB' } },
    /simulator\.size is "20 GB", and must be a number with/,
  ],
];

test.each(wrong)('%s is refused with the reason', async (_, values, why) => {
  const rendered = await render(values);
  expect(rendered.ok ? 'helm took it' : rendered.why).toMatch(why);
});

test.each([
  [{ roots, mountType: 'GPFS!' }, 'mountType'],
  [{ roots, pool: '-' }, 'pool'],
  [{ roots, owner: 'a b' }, 'owner'],
  [{ roots, mountPoints: ['gpfs'] }, 'mountPoints[0]'],
  [{ roots, mmDirectory: 'bin' }, 'mmDirectory'],
  [{ roots, kubeletDir: '/a/../b' }, 'kubeletDir'],
  [{ roots, node: { stateDirectory: 'x' } }, 'node.stateDirectory'],
  [{ roots, node: { httpAddress: 'localhost' } }, 'node.httpAddress'],
  [{ roots, node: { maxUnavailable: '110%' } }, 'node.maxUnavailable'],
  [{ roots, sidecars: { registrar: { image: { tag: ':' } } } }, 'sidecars.registrar.image.tag'],
  [{ roots, test: { size: '1 GB' } }, 'test.size'],
  [{ roots, metrics: { podMonitor: { interval: 'often' } } }, 'metrics.podMonitor.interval'],
  [{ roots, storageClasses: [{ name: 'A_B' }] }, 'storageClasses[0].name'],
  [
    { roots, storageClasses: [{ name: 'a', parameters: { maxCloneDepth: 'x' } }] },
    'storageClasses[0].parameters.maxCloneDepth',
  ],
])('%j is refused with a sentence, not with a pattern', async (values, name) => {
  const rendered = await render(values);
  const why = rendered.ok ? 'helm took it' : rendered.why;
  expect(why).toContain(`: ${name} is "`);
  expect(why).not.toMatch(/pattern|\^/);
});

test('roots may be a text, as --set roots=/gpfs/fs1/csi gives it', async () => {
  const text = await render({ roots: '/gpfs/fs1/csi,/gpfs/fs2/csi' });
  expect(text).toEqual(await render({ roots: ['/gpfs/fs1/csi', '/gpfs/fs2/csi'] }));
  expect(text.ok).toBe(true);
});

test('a class names its file system once, however it does', async () => {
  const storageClasses = [{ name: 'a', parameters: { fsType: 'ext4' } }];
  const rendered = await render({ roots, storageClasses });
  const text = rendered.ok ? rendered.text : rendered.why;
  expect(text.match(/^ {2}(?:csi\.storage\.k8s\.io\/fstype|fsType): .*$/gm)).toEqual([
    '  fsType: "ext4"',
  ]);
});

test('values of a parent chart are let through', async () => {
  const rendered = await render({ roots, global: { somethingElse: true } });
  expect(rendered.ok).toBe(true);
});
