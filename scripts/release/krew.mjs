import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The systems of the plugin: it is one program for Node, so each has the same archive. */
const platforms = [
  ['linux', 'amd64'],
  ['linux', 'arm64'],
  ['darwin', 'amd64'],
  ['darwin', 'arm64'],
];

/** The manifest of the plugin for krew, of an archive that lies at `uri`. The sum is that of the file itself. */
export function krewManifest(template, { version, archive, uri }) {
  const sum = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (!/^https:\/\/[^\s"]+$/.test(uri)) throw new Error(`${uri} is no address with https`);
  const entries = platforms.map(([os, arch]) =>
    [
      '    - selector:',
      '        matchLabels:',
      `          os: ${os}`,
      `          arch: ${arch}`,
      `      uri: ${uri}`,
      `      sha256: ${sum}`,
      '      bin: kubectl-gpfs.js',
      '      files:',
      '        - from: kubectl-gpfs.js',
      '          to: .',
      '        - from: package.json',
      '          to: .',
      '        - from: LICENSE',
      '          to: .',
    ].join('\n'),
  );
  const filled = template
    .replace('version: VERSION', `version: v${version}`)
    .replace(/^ {2}platforms: \[\].*$/m, `  platforms:\n${entries.join('\n')}`);
  if (filled.includes('VERSION') || !filled.includes(sum))
    throw new Error('deploy/krew/gpfs.yaml has no version or no platforms to fill in');
  return filled;
}
