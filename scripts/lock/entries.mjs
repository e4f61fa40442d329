import { Refusal } from '../ensure/run.mjs';

const nameOf = (path, entry) =>
  entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const idOf = ([path, entry]) => `${nameOf(path, entry)}@${entry.version}`;

// The first entry is this project. A link is a folder of it, and what is bundled comes inside another package.
const isFetched = ([path, entry]) => path !== '' && !entry.link && !entry.inBundle;

/** The packages of a lock file that come from a registry, each once, as name@version. */
export const packagesOf = (lock) => [
  ...new Set(Object.entries(lock.packages).filter(isFetched).map(idOf)),
];

/** The lock file with the sum of each package in its entry, and how many entries that changes. */
export function fillLock(lock, sums) {
  let changes = 0;
  const fill = ([path, entry]) => {
    if (!isFetched([path, entry])) return [path, entry];
    const filled = fillEntry(idOf([path, entry]), entry, sums);
    if (JSON.stringify(filled) !== JSON.stringify(entry)) changes += 1;
    return [path, filled];
  };
  const packages = Object.fromEntries(Object.entries(lock.packages).map(fill));
  return { filled: { ...lock, packages }, changes };
}

function fillEntry(id, entry, sums) {
  const integrity = sums.get(id);
  if (!/^sha512-/.test(integrity ?? '')) {
    throw new Refusal(`the registry gives no sha512 for ${id}: take another version of it`);
  }
  if (entry.integrity !== undefined && entry.integrity !== integrity) {
    throw new Refusal(
      `${id} is ${entry.integrity} in package-lock.json and ${integrity} in the registry: find out why before you take either`,
    );
  }
  // In the order in which npm writes them, so that its next run changes no line.
  const first = ['name', 'version'].filter((key) => key in entry).map((key) => [key, entry[key]]);
  const written = ['name', 'version', 'resolved', 'integrity'];
  const rest = Object.entries(entry).filter(([key]) => !written.includes(key));
  return Object.fromEntries([...first, ['integrity', integrity], ...rest]);
}
