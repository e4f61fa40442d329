/** Why this checkout cannot be published as a release, a sentence each; none when it can. */
export const unfitness = (checkout) => [
  ...chartFaults(checkout),
  ...[changelogFault, tagFault, changesFault, baseFault].flatMap((fault) => fault(checkout) ?? []),
];

const chartFaults = ({ version, chart }) =>
  ['version', 'appVersion']
    .map((name) => [name, new RegExp(`^${name}: (\\S+)$`, 'm').exec(chart)?.[1]])
    .filter(([, value]) => value !== version)
    .map(
      ([name, value]) =>
        `package.json has version ${version}, and ${name} of charts/gpfs-csi/Chart.yaml is ${value}: make them the same`,
    );

function changelogFault({ version, changelog }) {
  const heading = /^## .*$/m.exec(changelog)?.[0] ?? '';
  const [, of, date = ''] = /^## (\S+) \((.*)\)$/.exec(heading) ?? [];
  if (of === version && /^\d{4}-\d\d-\d\d$/.test(date)) return undefined;
  return `CHANGELOG.md begins with "${heading}": write "## ${version} (YYYY-MM-DD)"`;
}

const tagFault = ({ version, tag }) =>
  tag === `v${version}`
    ? undefined
    : `the commit has ${tag ? `the tag ${tag}` : 'no tag'}: it needs v${version}`;

const changesFault = ({ changes }) =>
  changes === '' ? undefined : `there are changes that are not committed:\n${changes}`;

const baseFault = ({ base = 'made on this machine' }) =>
  /@sha256:[0-9a-f]{64}$/.test(base)
    ? undefined
    : `the base image is ${base}: name one by digest with --base`;

/** values.yaml of the chart, with the image that this release publishes as its default. */
export function withImage(values, repository, digest) {
  const [, before, block, after] =
    /^([^]*\nimage:\n)((?: .*\n)+)([^]*)$/.exec(values) ?? refuse('no image');
  const replaced = replaceOnce(replaceOnce(block, 'repository', repository), 'digest', digest);
  const note = /^ *# Repository of the driver's image\.[^\n]*\n/m;
  if (!note.test(replaced)) refuse('no comment on the repository');
  return `${before}${replaced.replace(note, "  # Repository of the driver's image.\n")}${after}`;
}

function replaceOnce(block, key, value) {
  const line = new RegExp(`^( +${key}:).*$`, 'm');
  return line.test(block) ? block.replace(line, `$1 ${value}`) : refuse(`no ${key} of the image`);
}

function refuse(what) {
  throw new Error(`charts/gpfs-csi/values.yaml has ${what}: change scripts/release/checks.mjs too`);
}
