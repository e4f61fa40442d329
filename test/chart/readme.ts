import { parse } from 'yaml';

/** One documented value of the chart. */
export interface DocumentedValue {
  readonly section: string;
  readonly path: string;
  readonly meaning: string;
  readonly preset: unknown;
}

interface Reading {
  readonly values: unknown;
  readonly found: DocumentedValue[];
  section: string;
  comment: string[];
  /** Keys that the line stands in, and how far each is indented. */
  above: readonly { readonly indent: number; readonly key: string }[];
  /** Lines that are indented more belong to a value that was found. */
  limit: number;
}

/** Reads values.yaml with its comments: a key with one is a value; a key without one is a group of values. */
export function documentedValues(text: string): readonly DocumentedValue[] {
  const reading: Reading = {
    values: parse(text),
    found: [],
    section: '',
    comment: [],
    above: [],
    limit: Number.POSITIVE_INFINITY,
  };
  for (const line of text.split('\n')) readLine(reading, line);
  return reading.found;
}

function readLine(reading: Reading, line: string): void {
  if (line.startsWith('## ')) reading.section = line.slice(3);
  else if (/^ *#/.test(line)) reading.comment.push(line.replace(/^ *# ?/, ''));
  else if (line === '') reading.comment = [];
  else readKey(reading, line);
}

function readKey(reading: Reading, line: string): void {
  const [, spaces, key] = /^( *)([A-Za-z]\w*):/.exec(line) ?? [];
  const indent = spaces?.length ?? 0;
  if (key === undefined || indent > reading.limit) return;
  reading.above = [...reading.above.filter((each) => each.indent < indent), { indent, key }];
  const path = reading.above.map((each) => each.key);
  const meaning = reading.comment.join(' ');
  reading.comment = [];
  reading.limit = meaning === '' ? Number.POSITIVE_INFINITY : indent;
  if (meaning === '') return;
  const preset = at(reading.values, path);
  reading.found.push({ section: reading.section, path: path.join('.'), meaning, preset });
}

const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], value);

/** The chart's README. */
export function chartReadme(valuesText: string): string {
  const values = documentedValues(valuesText);
  const sections = [...new Set(values.map(({ section }) => section))];
  return [
    head,
    ...sections.map((section) => {
      const rows = values.filter((value) => value.section === section).map(row);
      return [
        `### ${section}`,
        '',
        '| value | default | meaning |',
        '| --- | --- | --- |',
        ...rows,
        '',
      ].join('\n');
    }),
  ].join('\n');
}

const row = ({ path, preset, meaning }: DocumentedValue): string =>
  `| \`${path}\` | ${shown(preset)} | ${meaning.replaceAll('|', '\\|')} |`;

function shown(preset: unknown): string {
  const text = JSON.stringify(preset);
  return text.length <= 40 ? `\`${text}\`` : 'see values.yaml';
}

const head = `<!-- Made from values.yaml by \`npm run chart\`; change it there. -->

# gpfs-csi

A CSI driver for GPFS (IBM Storage Scale) whose snapshots, restores and clones are file clones.

\`\`\`
helm install gpfs-csi charts/gpfs-csi --namespace gpfs-csi --create-namespace --set 'roots={/gpfs/fs1/csi}'
helm test gpfs-csi --namespace gpfs-csi --logs
\`\`\`

The roots are directories of a mounted GPFS that exist already. Snapshots need the CRDs and the snapshot controller of
the external-snapshotter project in the cluster first. Without a GPFS, \`--set simulator.enabled=true\` starts a
simulated one: not for data. More in [docs/install.md](../../docs/install.md).

The chart makes a DaemonSet with the driver (privileged, on the GPFS hosts), a Deployment with the upstream sidecars
(not privileged, two replicas), the CSIDriver, roles, and classes. [docs/security.md](../../docs/security.md) says
what is privileged and why.

## Values

A name that is not in these tables is refused.
`;
