import { growForest } from '../model/forest/forest.ts';
import { unpackFile, type ReportData, type ReportRoot } from '../model/report/data.ts';
import { make, section } from './dom.ts';
import { spaceOf } from './space.ts';
import { doctorTable, figures, list, serversOf, yearOf } from './summary.ts';
import { TreeView } from './tree.ts';

const data = JSON.parse(document.getElementById('data')?.textContent ?? '{}') as ReportData;
const page = document.getElementById('page');
const trees: TreeView[] = [];

function rootPart(root: ReportRoot): HTMLElement {
  const files = root.files.map(unpackFile);
  const forest = growForest(files);
  const tree = new TreeView(forest, data.madeMs);
  trees.push(tree);
  return make(
    'article',
    {},
    make('h1', { text: `${root.path} (root ${root.id})` }),
    figures(root, files),
    ...(root.problems.length > 0 ? [section('problems', 'Not readable', list(root.problems))] : []),
    section('doctor', 'Doctor', doctorTable(root.checks)),
    spaceOf(forest, (key) => {
      tree.choose(key);
    }),
    tree.element,
    yearOf(data, files),
    ...serversOf(root, data.madeMs),
  );
}

const made = new Date(data.madeMs).toISOString().slice(0, 16).replace('T', ' ');
page?.append(
  make('header', {
    text: `gpfs-csi report, made ${made} UTC on node ${data.node}, version ${data.version}`,
  }),
  ...data.roots.map(rootPart),
  section('node', 'This node', doctorTable(data.checks)),
);
const drawFor = (where: 'screen' | 'paper') => () => {
  for (const tree of trees) tree.drawFor(where);
};
// Only now do the lines have a height of their own.
drawFor('screen')();
addEventListener('resize', drawFor('screen'));
addEventListener('beforeprint', drawFor('paper'));
addEventListener('afterprint', drawFor('screen'));
document.documentElement.setAttribute('data-ready', String(Math.round(performance.now())));
