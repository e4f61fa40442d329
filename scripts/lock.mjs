// Gives each entry of package-lock.json the sha512 of its package, and takes registry addresses out.
// npm leaves both as it likes: it forgets the sums of packages that are installed already, and writes
// `resolved` or not by the settings of the machine. Run it after each npm command that changes the file.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { complete, Refusal, stop } from './ensure/run.mjs';
import { fillLock, packagesOf } from './lock/entries.mjs';

const lockFile = join(dirname(dirname(fileURLToPath(import.meta.url))), 'package-lock.json');

/** The sums that the registry gives, by name@version: npm resolves each package where nothing is installed. */
async function readSums(packages) {
  const folder = mkdtempSync(join(tmpdir(), 'gpfs-csi-lock-'));
  try {
    // Aliases let one name stand with several versions; as optional, so that each platform's are taken.
    const aliases = packages.map((each, n) => [`p${n}`, `npm:${each}`]);
    const manifest = { private: true, optionalDependencies: Object.fromEntries(aliases) };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    const options = ['--package-lock-only', '--ignore-scripts', '--legacy-peer-deps'];
    const args = ['install', ...options, '--no-audit', '--no-fund', '--loglevel=error'];
    const { ok, output } = await complete('npm', args, { cwd: folder });
    if (!ok) throw new Refusal(`npm could not look up the packages:\n${output.trimEnd()}`);
    const found = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages;
    return new Map(packages.map((each, n) => [each, found[`node_modules/p${n}`]?.integrity]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  const lock = JSON.parse(readFileSync(lockFile, 'utf8'));
  const sums = await readSums(packagesOf(lock));
  const { filled, changes } = fillLock(lock, sums);
  writeFileSync(lockFile, `${JSON.stringify(filled, null, 2)}\n`);
  console.log(`package-lock.json: ${sums.size} packages, ${changes} entries changed`);
} catch (error) {
  stop(error);
}
