import { posix } from 'node:path';
import ts from 'typescript';
import { importsOf } from './imports.ts';
import { fewestLines, mostFiles, orders, typesOnly } from './rules.ts';
import { filesIn, type Tree } from './tree.ts';

const sources = (tree: Tree): readonly string[] => filesIn(tree, 'src', '.ts');

/** Imports that point up within a layer, against the order that its folder has. */
export const upwards = (tree: Tree): readonly string[] =>
  Object.entries(orders).flatMap(([folder, order]) =>
    filesIn(tree, folder, '.ts').flatMap((file) => upwardsFrom(tree, folder, order, file)),
  );

function upwardsFrom(
  tree: Tree,
  folder: string,
  order: readonly string[],
  file: string,
): readonly string[] {
  const rank = (path: string): number => order.indexOf(unitOf(folder, path));
  if (rank(file) < 0)
    return [`${file}: ${unitOf(folder, file)} has no place in the order of ${folder}; give it one`];
  return importsOf(tree, file)
    .map(({ to }) => to)
    .filter((to) => to.startsWith(`${folder}/`) && rank(to) >= 0 && rank(to) < rank(file))
    .map((to) => `${file} imports ${to}, which stands above it: move down what both need`);
}

/** What a path is in its folder: the folder below, or the file's name without its ending. */
const unitOf = (folder: string, path: string): string =>
  path
    .slice(folder.length + 1)
    .split('/')[0]
    ?.replace(/\.ts$/, '') ?? '';

const valueImport = /^(?:import|export)\s+(?!type\b)[\w*\s,]*(?:\{[^}]*\})?\s*from '/m;

/** Imports at run time in files that are there for types. */
export const valuesInTypes = (tree: Tree): readonly string[] =>
  typesOnly
    .filter((file) => valueImport.test(tree.get(file) ?? ''))
    .map((file) => `${file} imports values: let what needs them hand them in`);

/** Folders with too many files, files that are too short, and names that are not in kebab-case. */
export function wrongFiles(tree: Tree): readonly string[] {
  const files = sources(tree);
  const folders = Map.groupBy(files, (file) => posix.dirname(file));
  return [
    ...[...folders]
      .filter(([, own]) => own.length > mostFiles)
      .map(
        ([folder, own]) =>
          `${folder} has ${own.length} files, and ${mostFiles} are the most: part it by what they are about`,
      ),
    ...files
      .filter((file) => file.startsWith('src/service/') && linesOf(tree, file) < fewestLines)
      .map((file) => `${file} has fewer than ${fewestLines} lines: let it join its neighbour`),
    ...files
      .filter((file) => !/^[a-z0-9/-]+\.ts$/.test(file))
      .map((file) => `${file} is not named in kebab-case: rename it`),
  ];
}

const linesOf = (tree: Tree, file: string): number =>
  (tree.get(file) ?? '').trimEnd().split('\n').length;

/** Types that two files of src export under one name: each needs a name that says what it is. */
export function sharedTypeNames(tree: Tree): readonly string[] {
  const named = sources(tree).flatMap((file) =>
    exportedTypes(tree.get(file) ?? '').map((name) => ({ name, file })),
  );
  return [...Map.groupBy(named, ({ name }) => name)]
    .filter(([, places]) => places.length > 1)
    .map(
      ([name, places]) =>
        `${name} is exported by ${places.map(({ file }) => file).join(' and ')}: give each a name of its own`,
    );
}

/** Types that a file declares and exports; one that it exports of another file is that file's. */
function exportedTypes(text: string): readonly string[] {
  const { statements } = ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest);
  const listed = new Set(
    statements
      .filter((each) => ts.isExportDeclaration(each) && each.moduleSpecifier === undefined)
      .flatMap((each) => /\{([^}]*)\}/.exec(text.slice(each.pos, each.end))?.[1]?.split(',') ?? [])
      .map((name) => name.trim().split(/\s+/).at(-1)),
  );
  return statements
    .filter(
      (each) =>
        ts.isInterfaceDeclaration(each) ||
        ts.isTypeAliasDeclaration(each) ||
        ts.isClassDeclaration(each),
    )
    .flatMap(({ name, modifiers }) => {
      const isExported = modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
      return name && (isExported === true || listed.has(name.text)) ? [name.text] : [];
    });
}
