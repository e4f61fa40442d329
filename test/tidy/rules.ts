// The rules of this repository that a test can hold, as lists: change a rule here. What reads them lies beside.

/** What each folder of src may import, besides itself. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  page: ['model'],
  cli: [
    'simulator',
    'server',
    'service',
    'store',
    'gpfs',
    'linux',
    'wire',
    'run',
    'observe',
    'model',
  ],
  simulator: ['run', 'model'],
  server: ['service', 'store', 'gpfs', 'linux', 'wire', 'run', 'observe', 'model'],
  service: ['store', 'gpfs', 'linux', 'run', 'observe', 'model'],
  store: ['run', 'observe', 'model'],
  gpfs: ['run', 'observe', 'model'],
  linux: ['run', 'observe', 'model'],
  run: ['observe', 'model'],
  observe: ['wire', 'model'],
  model: [],
};

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** What lies in a folder, from the top down: each imports only what comes after it. */
export const orders: Readonly<Record<string, readonly string[]>> = {
  'src/service': words(`
    driver maintenance endings history adopt migrate explain forest volumes groups images compaction doctor attachments
    snapshots parents finder claims host node roots probe walk pages api`),
  'src/service/node': words(`
    node background publish unpublish stage unstage expand stats device host state`),
  'src/server': words('http connections registration transport rpc call proto'),
  'src/cli': words(`
    main demo kubectl support-bundle serve adopt report doctor explain export history image migrate simulate thaw tree bundle volumes-left forest server cluster command`),
  'src/store': words(`
    root marks abilities attached notes freezes nodes queue gone records history spare edges inside guarded json layout
    schema`),
  'src/linux': words(`
    trials losetup open-files blkid loop disk-head fallocate fsfreeze fstrim growfs mkfs mount qemu-img sysblock`),
  'src/gpfs': words(`
    commands mmgetstate mmlsconfig mmlsfileset mmlsfs mmlspool mmlsquota mmlsattr mmclone mmchattr table failures
    release`),
  'src/run': words(`
    streams user named lifeline host-files host-ranges host-run confined observed cgroups companion directories trials parallel programs limit
    mounts files clock run`),
  'src/observe': words(
    'logger text-line context log metrics scrub redact page main tree space summary row outline dom',
  ),
  'src/model': words(`
    report explain audit forest qcow2 clone-tree sizing class volume compaction page-token group abilities topology superblock
    capability sectors fault ids kubernetes bytes`),
  'src/simulator': words('disk memory commands core'),
  'src/store/schema': words('barred volume parents groups queue root claim history data'),
  'src/simulator/disk': words(`
    lifecycle trials files shim rm-mv held-blocks ground filesets state`),
};

/** Files that import types only: what they need at run time is handed to them. */
export const typesOnly: readonly string[] = ['src/service/host.ts', 'src/service/node/host.ts'];

/** Packages that only some folders of src know: a word of theirs elsewhere is a layer that leaks. */
export const owners: Readonly<Record<string, readonly string[]>> = {
  execa: ['run'],
  'node:child_process': ['run'],
  child_process: ['run'],
  pino: ['observe'],
  '@grpc/grpc-js': ['server', 'cli'],
  '@grpc/proto-loader': ['server', 'cli'],
  esbuild: ['simulator'],
};

/** The only packages that src/model imports: nothing in them waits, or reaches out of the process. */
export const purePackages: readonly string[] = ['zod', 'node:crypto'];

/** Files of its own that a folder of src holds at most. */
export const mostFiles = 16;

/** Lines that a file of src/service has at least: a smaller thought joins its neighbour. */
export const fewestLines = 25;

/** Words that must not be in a file, and why; `where` narrows it to some paths, `of` to prose. */
export interface Ban {
  readonly pattern: RegExp;
  readonly where: RegExp;
  /** `prose`: only in comments, in pages, and in what the program says; names of variables are free. */
  readonly of: 'all' | 'prose';
  readonly why: string;
}

const everywhere = /^/;
const code = /^(?:src|test|scripts)\/.*\.(?:ts|mjs)$/;
const readers =
  /^(?:src|test|scripts|docs|charts|deploy|README|CONTRIBUTING|SECURITY|RELEASING|CHANGELOG)/;

const idiom = (pattern: RegExp, better: string): Ban => ({
  pattern,
  where: readers,
  of: 'prose',
  why: `is an idiom that readers have to read twice: ${better}`,
});

// Written so that no pattern finds itself.
export const bans: readonly Ban[] = [
  {
    pattern: /(?<![\w.])\/(?:wor[k]|hom[e]\/\w+|roo[t]\/)\//,
    where: everywhere,
    of: 'all',
    why: 'names a path of one machine: use a path of the project, or an example below /gpfs',
  },
  {
    pattern: /\b(?:registr[y]\.[a-z]+\.|prox[y]\.golang\.|artifactor[y])/,
    where: everywhere,
    of: 'all',
    why: 'names a host that packages come from: leave that to the settings of the machine',
  },
  {
    pattern: /\b(?:TOD[O]|FIXM[E])\b/,
    where: everywhere,
    of: 'all',
    why: 'leaves work to nobody: do it, or open an issue',
  },
  {
    pattern: /\b(?:test|it|describe|suite)\.(?:ski[p]|onl[y]|tod[o]|skipI[f]|runI[f])\b/,
    where: /^test\//,
    of: 'all',
    why: 'keeps a test from running: mend it or remove it',
  },
  {
    pattern: /\bvi\.(?:moc[k]|doMoc[k]|f[n]|spyO[n]|stub\w+)\(/,
    where: /^test\//,
    of: 'all',
    why: 'tests a stand-in instead of the driver: use the simulator',
  },
  {
    pattern: /@ts-(?:ignor[e]|expect-erro[r]|nochec[k])/,
    where: code,
    of: 'all',
    why: 'silences the compiler: give it the right type',
  },
  {
    pattern: /eslint-disable.*(?:max-line[s]|complexit[y]|no-explicit-an[y])/,
    where: code,
    of: 'all',
    why: 'takes itself out of a limit: split the function or the file',
  },
  {
    pattern: /\bprocess\.(?:en[v]|exi[t]\()/,
    where: /^src\/(?!cli\/)/,
    of: 'all',
    why: 'reads the environment or ends the process: only src/cli does that, and hands values down',
  },
  {
    pattern: /grp[c]|Grp[c]/,
    where: /^src\/(?!cli\/|server\/|wire\/)/,
    of: 'all',
    why: 'speaks of gRPC outside of the server: throw a DriverError, src/server/call/status.ts knows its code',
  },
  idiom(/\bwhoever\b/i, 'name the actor (server, node, caller, administrator)'),
  idiom(/\banew\b/i, 'say "again", or "recreate"'),
  idiom(/\bit is looked\b/i, 'say who checks what'),
  idiom(/\bby and by\b/i, 'say "later", or when'),
  idiom(/\bmade anew\b/i, 'say "recreated"'),
  idiom(/\basks? for no leave\b/i, 'say what is not checked again'),
  idiom(/\bhalf and half\b/i, 'say what is done and what is not'),
  idiom(
    /\b(?:is|are|was|were) told\b|\btold (?:of|that|to)\b/i,
    'say "reported", "named" or "asked"',
  ),
];
