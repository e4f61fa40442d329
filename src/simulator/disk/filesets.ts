import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SimulatedFileset, FilesetPart } from '../core/ground.ts';
import { readJson, type SimulatorLayout } from './state/layout.ts';
import { lookAt, writeWhole } from './state/state-files.ts';

/** Filesets as directories: at their junctions while they are linked, else in a hidden directory. */
export function realFilesets(layout: SimulatorLayout): FilesetPart {
  const table = join(layout.state, 'filesets.json');
  const away = (name: string): string => join(layout.hidden, 'filesets', name);
  const stored = (): readonly SimulatedFileset[] =>
    (readJson(table) ?? []) as readonly SimulatedFileset[];
  const save = (filesets: readonly SimulatedFileset[]): void => {
    writeWhole(table, JSON.stringify(filesets));
  };
  return {
    // The directory decides: a command killed between its two steps leaves a table that disagrees with it.
    filesets: () =>
      stored().map((fileset) =>
        lookAt(away(fileset.name)) ? { ...fileset, junction: undefined } : fileset,
      ),
    filesetOf: (path) => filesetOf(layout, stored(), path),
    makeFilesetRoot: (name) => {
      mkdirSync(away(name), { recursive: true, mode: 0o700 });
      return String(lstatSync(away(name), { bigint: true }).ino);
    },
    putFileset: (fileset) => {
      save([...stored().filter(({ name }) => name !== fileset.name), fileset]);
    },
    moveFilesetRoot: (name, from, to) => {
      renameSync(from ?? away(name), to ?? away(name));
    },
    removeFilesetRoot: (name) => {
      save(stored().filter((fileset) => fileset.name !== name));
      rmSync(away(name), { recursive: true, force: true });
    },
    isFilesetEmpty: (name) => readdirSync(away(name)).length === 0,
  };
}

// The nearest directory upwards that is the root of a fileset. Compares inodes, because roots may have been moved.
function filesetOf(
  layout: SimulatorLayout,
  filesets: readonly SimulatedFileset[],
  path: string,
): string {
  const { dev } = lstatSync(layout.mount, { bigint: true });
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const stat = lookAt(at);
    if (stat && stat.dev !== dev) break;
    const fileset = filesets.find(({ rootInode }) => rootInode === String(stat?.ino));
    if (fileset) return fileset.name;
  }
  return 'root';
}
