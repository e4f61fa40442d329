import { hostname } from 'node:os';
import { addAbortSignal } from 'node:stream';
import { showBytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { imageId, publicId } from '../model/ids.ts';
import { imageName } from '../model/class/parameter-keys.ts';
import { losetup } from '../linux/losetup.ts';
import { qemuImg } from '../linux/qemu-img.ts';
import { hostTrials } from '../linux/trials.ts';
import { openNamed } from '../run/named/named.ts';
import { exactly } from '../run/streams.ts';
import { importImage, listImages, type Incoming } from '../service/images/images.ts';
import { incomingOf, type Import } from '../service/images/import.ts';
import { helpForClones, tryClone } from '../service/images/usable.ts';
import { visitorInstance } from '../service/probe/area.ts';
import { sectorBytesFor } from '../model/sectors.ts';
import type { RootStore } from '../store/root.ts';
import type { SnapshotRecord } from '../store/schema/parents.ts';
import { openLocalDriver, type LocalDriver } from './command/local-driver.ts';
import { showProgress } from './command/progress.ts';
import { UsageError } from './command/config.ts';
import {
  rootHost,
  rootHelpLines,
  readRootFlags,
  type RootCommandLine,
} from './command/root-flags.ts';
import { trustFlag, trustIn } from './command/trust-flag.ts';
import { sectorFlag, sectorsIn } from './command/sector-flag.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';

/** What the command line of `gpfs-csi image` may hold. */
export const imageGrammar = {
  command: 'image',
  takesFiles: true,
  words: 2,
  own: {
    name: { takes: 'value', meaning: 'import: name of the image' },
    format: { takes: 'value', meaning: 'import: raw or qcow2; never guessed' },
    size: {
      takes: 'value',
      meaning: 'import -: length of the input in bytes, so that a part is not taken for the whole',
    },
    sha256: {
      takes: 'value',
      meaning: 'import: SHA-256 of FILE, in hex; a file with another one is refused',
    },
    move: { takes: 'nothing', meaning: 'import: FILE itself becomes the image; nothing is copied' },
    share: { takes: 'nothing', meaning: 'import: FILE stays and shares its blocks with the image' },
    'trust-directory': { ...trustFlag, meaning: `import: ${trustFlag.meaning}` },
    'sector-size': { ...sectorFlag, meaning: `import: ${sectorFlag.meaning}` },
    json: { takes: 'nothing', meaning: 'list, show: JSON on standard output' },
  },
} as const;

const help = [
  'usage: gpfs-csi image import FILE --name NAME --format raw|qcow2 [--sha256 HEX] --root DIR',
  '       gpfs-csi image import FILE --name NAME --format raw [--move|--share] --root DIR',
  '       gpfs-csi image import - --name NAME --format raw --size BYTES [--sha256 HEX] --root DIR',
  '       each of these also with --sector-size 512|4096',
  '       gpfs-csi image list   [--json] --root DIR',
  '       gpfs-csi image show   NAME [--json] --root DIR',
  '       gpfs-csi image remove NAME --root DIR',
  '',
  'Golden images of a root: a class with the parameter image: NAME makes volumes that are clones of that image.',
  'A qcow2 image is converted once, at its import. --move and --share need a raw FILE in the fileset of the root,',
  'and copy no data. Ctrl-C leaves nothing behind.',
  '',
  ...rootHelpLines(imageGrammar),
].join('\n');

const verbs = { import: importFile, list, show, remove } as const satisfies Record<
  string,
  (line: RootCommandLine, terminal: Terminal) => Promise<void>
>;

/** `gpfs-csi image`: manages golden images, which volumes are cloned from. */
export const image: Subcommand = {
  summary: 'manage golden images, which volumes are cloned from: import, list, show, remove',
  help,
  run: async (argv, terminal) => {
    const line = readRootFlags(imageGrammar, argv, terminal.env, hostname());
    const [verb = ''] = line.words;
    const work = Object.hasOwn(verbs, verb) ? verbs[verb as keyof typeof verbs] : undefined;
    if (!work) throw new UsageError('image takes one of import, list, show, remove');
    if (line.config.roots.length !== 1) throw new UsageError('--root names one root, for image');
    await work(line, terminal);
    return 0;
  },
};

async function importFile(line: RootCommandLine, terminal: Terminal): Promise<void> {
  const ask = importAsk(line);
  await using local = await openLocalDriver(line.config);
  const { store } = local;
  const made = await takeIn(line, ask, local, terminal);
  terminal.out(`image ${ask.name} is ready: ${lineOf(store, made)}`);
  if (made.cloneDirectIo === false)
    terminal.err(
      `a loop device with sectors of ${sectorBytesFor(made)} bytes gets no direct I/O on a clone of image ${ask.name} here, so volumes cloned from it cannot be used; ${helpForClones}`,
    );
}

async function takeIn(
  line: RootCommandLine,
  ask: ReturnType<typeof importAsk>,
  local: LocalDriver,
  terminal: Terminal,
): Promise<SnapshotRecord> {
  await using opened = new AsyncDisposableStack();
  const { host, driver, store, signal } = local;
  using shown = showProgress(`importing ${ask.name}`, terminal, host.clock);
  const on = {
    store,
    signal,
    gpfs: host.gpfs,
    qemu: qemuImg(host.run),
    progress: (bytes: number, of = sizeOf(line)) => {
      shown.progress(bytes, of);
    },
    opened,
  };
  const piped = () => exactly(addAbortSignal(signal, process.stdin), sizeOf(line));
  const trust = trustIn(line.flags);
  const from = ask.from === '-' ? piped() : opened.use(await openNamed(ask.from, trust));
  const incoming = await incomingOf(on, { ...ask, from });
  const tried = { ...incoming, tryClone: trialOf(local) };
  return await importImage(driver.host, store, tried);
}

/** Tries a clone of an image with the loop devices of this node. */
function trialOf({ host, store, driver }: LocalDriver): Incoming['tryClone'] {
  const { nonce, clock, log, self } = driver.host;
  const trial = {
    clone: host.gpfs.clone,
    trials: hostTrials(host.run, clock),
    losetup: losetup(host.run, clock),
    nonce,
    clock,
    log,
    self: { ...self, instance: visitorInstance(nonce) },
  };
  return (image, sectorBytes) => tryClone(trial, store, { image, sectorBytes });
}

const sizeOf = ({ flags }: RootCommandLine): number => Number(flags.get('size') ?? '');

function importAsk(line: RootCommandLine): Omit<Import, 'from'> & { readonly from: string } {
  const { words, flags } = line;
  const ask = {
    from: words[1] ?? '',
    name: flags.get('name') ?? '',
    format: flags.get('format') ?? '',
    how: howOf(flags),
    sha256: flags.get('sha256'),
    sectorBytes: sectorsIn(flags),
  } as const;
  const piped = ask.from === '-';
  const problems = [...whyNot(ask), ...whyNotSize(piped, flags.get('size'))].flatMap(
    ([is, sentence]) => (is ? [sentence] : []),
  );
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return { ...ask, format: ask.format === 'raw' ? 'raw' : 'qcow2' };
}

function howOf(flags: ReadonlyMap<string, string>): Import['how'] {
  if (!flags.has('move')) return flags.has('share') ? 'share' : 'copy';
  if (flags.has('share')) throw new UsageError('--move and --share exclude each other');
  return 'move';
}

type Asked = Omit<Import, 'format' | 'from'> & { readonly format: string; readonly from: string };

type Problem = readonly [is: boolean, sentence: string];

function whyNot({ from, name, format, how, sha256 }: Asked): readonly Problem[] {
  const converted = format === 'qcow2';
  return [
    [from === '', 'image import needs a FILE, or - for standard input'],
    [from !== '' && !/^(?:-$|\/)/.test(from), `${from} is no absolute path`],
    [!imageName.safeParse(name).success, '--name must be letters, digits, "_", "." and "-"'],
    [!['raw', 'qcow2'].includes(format), '--format must be raw or qcow2'],
    [how !== 'copy' && converted, '--move and --share are for raw images, qcow2 is converted'],
    [sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256), '--sha256 must be 64 hex digits'],
    [
      sha256 !== undefined && how !== 'copy',
      '--sha256 is for what is read; --move and --share read nothing',
    ],
    [from === '-' && (how !== 'copy' || converted), 'standard input must be raw, and is copied'],
  ];
}

// A broken connection of ssh or kubectl exec looks like the end of standard input.
const whyNotSize = (piped: boolean, size: string | undefined): readonly Problem[] => [
  [piped && !/^[1-9]\d{0,14}$/.test(size ?? ''), '- needs --size, the bytes that come: stat -c %s'],
  [!piped && size !== undefined, '--size is for standard input'],
];

async function list({ config, flags }: RootCommandLine, terminal: Terminal): Promise<void> {
  const store = await rootHost(config).open(config.roots[0] ?? '');
  const all = await listImages(store);
  if (flags.has('json')) terminal.out(JSON.stringify(all.map((each) => facts(store, each))));
  else for (const each of all) terminal.out(`${each.golden?.name ?? ''}  ${lineOf(store, each)}`);
}

async function show({ config, flags, words }: RootCommandLine, terminal: Terminal): Promise<void> {
  const store = await rootHost(config).open(config.roots[0] ?? '');
  const found = await find(store, words[1]);
  const children = await store.edges.children(found.file?.key ?? ('' as never));
  const known = { ...facts(store, found), clones: children.length };
  if (flags.has('json')) terminal.out(JSON.stringify(known));
  else for (const [key, value] of Object.entries(known)) terminal.out(`${key}: ${value}`);
}

async function remove({ config, words }: RootCommandLine, terminal: Terminal): Promise<void> {
  await using local = await openLocalDriver(config);
  const found = await find(local.store, words[1]);
  await local.driver.snapshots.remove(publicId(local.store.id, found.id));
  terminal.out(`image ${words[1] ?? ''} is gone; volumes made from it keep what they need`);
}

async function find(store: RootStore, name: string | undefined): Promise<SnapshotRecord> {
  if (name === undefined) throw new UsageError('which image? gpfs-csi image list tells');
  const record = (await store.snapshots.read(imageId(name)))?.value;
  if (record?.state === 'ready' && record.golden) return record;
  throw new DriverError(
    'snapshot-missing',
    `root ${store.layout.root} has no image ${name}; gpfs-csi image list shows those that it has`,
  );
}

const facts = (store: RootStore, record: SnapshotRecord) => ({
  name: record.golden?.name ?? '',
  bytes: Number(record.bytes),
  format: record.golden?.format ?? '',
  sectorBytes: sectorBytesFor(record),
  created: new Date(record.createdMs).toISOString(),
  snapshotHandle: publicId(store.id, record.id),
});

const lineOf = (store: RootStore, record: SnapshotRecord): string =>
  `${showBytes(record.bytes)}, from ${record.golden?.format ?? ''}, sectors of ${sectorBytesFor(record)}, snapshot handle ${publicId(store.id, record.id)}`;
