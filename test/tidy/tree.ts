import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Text of files by their path in the repository; what the checks below look at. */
export type Tree = ReadonlyMap<string, string>;

// Made from other files, or not ours.
const skipped = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache', 'src/wire']);
const binary = /\.(?:png|gif|gz|tgz|ico)$/;

/** Reads the whole repository, without what is not committed. */
export function readTree(root: string): Tree {
  const tree = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (skipped.has(path)) continue;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile() && !binary.test(path)) {
        tree.set(path, readFileSync(join(root, path), 'utf8'));
      }
    }
  };
  visit('');
  return tree;
}

/** The files below a folder whose name ends so. */
export const filesIn = (tree: Tree, folder: string, end: string): readonly string[] =>
  [...tree.keys()].filter((path) => path.startsWith(`${folder}/`) && path.endsWith(end));
