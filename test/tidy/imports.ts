import { posix } from 'node:path';
import ts from 'typescript';
import { layers, owners, purePackages } from './rules.ts';
import { filesIn, type Tree } from './tree.ts';

/** A place that imports another: `to` is a path of the tree, or the name of a package. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** Every import of a file, types and dynamic ones included. */
export function importsOf(tree: Tree, from: string): readonly Import[] {
  const { importedFiles } = ts.preProcessFile(tree.get(from) ?? '', true, true);
  return importedFiles.map(({ fileName }) => ({
    from,
    to: fileName.startsWith('.') ? posix.join(posix.dirname(from), fileName) : fileName,
  }));
}

/** Imports that point up, sideways, or at a package that belongs to another folder. */
export function wrongImports(tree: Tree): readonly string[] {
  return filesIn(tree, 'src', '.ts')
    .flatMap((file) => importsOf(tree, file))
    .flatMap((each) => {
      const why = reproach(each);
      return why === undefined ? [] : [`${each.from} imports ${each.to}: ${why}`];
    });
}

function reproach({ from, to }: Import): string | undefined {
  const folder = folderOf(from) ?? '';
  const known = layers[folder];
  if (known === undefined) return 'its folder has no place in the layers';
  return isPath(to) ? wrongPath(folder, known, to) : wrongPackage(folder, to);
}

function wrongPath(folder: string, known: readonly string[], to: string): string | undefined {
  const target = folderOf(to);
  if (target === undefined) return 'src imports only src';
  return target === folder || known.includes(target) ? undefined : `${folder} is not above it`;
}

function wrongPackage(folder: string, name: string): string | undefined {
  if (folder === 'model' && !purePackages.includes(name))
    return 'model is pure: do this in a layer above it';
  const may = owners[name];
  return may === undefined || may.includes(folder) ? undefined : `only ${may.join(', ')} may`;
}

const isPath = (to: string): boolean => to.endsWith('.ts') || to.endsWith('.json');
const folderOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1];

/** Files that nothing uses. What only tests use is an orphan too, unless the simulator is for that. */
export function orphans(tree: Tree): readonly string[] {
  const starts = started(tree);
  const programs = starts.filter((path) => path.startsWith('src/'));
  const tests = filesIn(tree, 'test', '.test.ts');
  const byPrograms = reach(tree, programs);
  const byAll = reach(tree, [...starts, ...tests]);
  const isUsed = (path: string): boolean =>
    byPrograms.has(path) || (!isProduct(path) && byAll.has(path));
  return [...filesIn(tree, 'src', '.ts'), ...filesIn(tree, 'test', '.ts')].filter(
    (path) => !isUsed(path),
  );
}

// What is started or bundled is named in package.json, in a script, or in the settings of vitest.
const started = (tree: Tree): readonly string[] =>
  ['package.json', 'vitest.config.ts', ...filesIn(tree, 'scripts', '.mjs')].flatMap((path) =>
    [...(tree.get(path) ?? '').matchAll(/\b(?:src|test)\/[\w./-]+\.ts\b/g)].map(([file]) => file),
  );

const isProduct = (path: string): boolean =>
  path.startsWith('src/') && !path.startsWith('src/simulator/');

function reach(tree: Tree, starts: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = starts.filter((path) => tree.has(path));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const used = [...importsOf(tree, path).map(({ to }) => to), ...startedBy(tree, path)];
    open.push(...used.filter((to) => tree.has(to)));
  }
  return seen;
}

/** Files that a file starts as programs of their own. */
function startedBy(tree: Tree, path: string): readonly string[] {
  const urls = (tree.get(path) ?? '').matchAll(/new URL\(\s*'(\.[^']+\.ts)'/g);
  return [...urls].map(([, to = '']) => posix.join(posix.dirname(path), to));
}
