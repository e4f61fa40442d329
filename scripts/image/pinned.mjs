import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { complete, Refusal } from '../ensure/run.mjs';

// The sum of npm stands here; that of Node stands in package-lock.json. `npm view npm@VERSION dist.integrity`
// gives the sum of another version.

/** The npm of the base. */
export const npm = {
  name: 'npm',
  version: '11.19.1',
  integrity:
    'sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==',
};

/** The Node of the base, for this machine's architecture, as package-lock.json has it. */
export function pinnedNode(root) {
  const name = `node-linux-${process.arch}`;
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const entry = packages[`node_modules/${name}`];
  if (entry !== undefined) return { name, version: entry.version, integrity: entry.integrity };
  throw new Refusal(
    `package-lock.json pins no Node for ${process.arch}: name a base image with --base`,
  );
}

/** Unpacks a package of npm into a new folder, once the sum of what came is the pinned one. */
export async function unpackPinned({ name, version, integrity }, folder, env = process.env) {
  mkdirSync(folder, { recursive: true });
  const id = `${name}@${version}`;
  const archive = join(folder, `${name}-${version}.tgz`);
  const args = ['pack', id, '--silent', '--pack-destination', folder];
  await must('npm', args, `npm could not fetch ${id}`, { env });
  const sum = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (sum !== integrity) {
    throw new Refusal(
      `${id} is not the package that is pinned: its sum is ${sum}, and ${integrity} was wanted; do not use this registry before you know why`,
    );
  }
  await must('tar', ['-xzf', archive, '-C', folder], `${id} could not be unpacked`);
  return join(folder, 'package');
}

async function must(program, args, otherwise, options) {
  const { ok, output } = await complete(program, args, options);
  if (!ok) throw new Refusal(`${otherwise}:\n${output.trimEnd()}`);
}
