import { showRelease } from '../../gpfs/release.ts';
import { counted } from '../../model/bytes.ts';
import { severities, type AuditFacts, type Finding } from '../../model/audit/facts.ts';
import type { Check } from '../../model/audit/check.ts';
import { probeNow } from '../probe/probe.ts';
import { sweepProbes, type ProbeHost } from '../probe/area.ts';
import { probeTwoNodes } from '../probe/pair/pair.ts';
import type { RootStore } from '../../store/root.ts';
import { audit } from './audit.ts';
import { check, inOrder } from './check.ts';
import { checkHost, checkPlace, type HostChecks } from './host-checks.ts';
import { describeProbe } from './probe-words.ts';
import { repair, type RepairHost } from './repair.ts';
import { checkRootState } from './root-checks.ts';

/** What an examination needs, and what the administrator wants of it. */
export interface Examination extends HostChecks, ProbeHost {
  /** Opens a root as it is, and changes nothing. Throws what is wrong with it. */
  readonly open: (path: string) => Promise<RootStore>;
  /** Tries what GPFS allows; if false, the result of an earlier probe is shown. */
  readonly probe: boolean;
  /** Waits for a second node that takes part in a probe of two. */
  readonly twoNodes: boolean;
  /** How to repair the root before its records are checked; undefined: not at all. */
  readonly mend: Pick<RepairHost, 'minAgeMs' | 'sectorBytes'> | undefined;
  /** Called after each repair. */
  readonly onRepair: (sentence: string) => void;
}

/** The checks of this node. */
export const examineNode = (host: Examination): Promise<readonly Check[]> => checkHost(host);

/** The checks of one root, from its mount to its last record. */
export async function examineRoot(host: Examination, path: string): Promise<readonly Check[]> {
  const place = await checkPlace(host, path);
  const opened: RootStore[] = [];
  const root = await check('root', async () => {
    const store = await host.open(path);
    opened.push(store);
    return `root.json names root ${store.id} (format ${store.facts.format})`;
  });
  const [store] = opened;
  if (!store) return [...place, ...root];
  return [
    ...place,
    ...root,
    ...(await inOrder(
      () => check('repair', () => mending(host, store)),
      () => checkRootState(host, store),
      () => check('probe', () => probing(host, store)),
      () => check('two nodes', () => pairing(host, store)),
      () => check('records', () => records(host, store)),
    )),
  ];
}

async function probing(host: Examination, store: RootStore) {
  if (!host.probe) {
    const kept = await store.abilities.kept();
    if (kept) return describeProbe(kept);
    return { status: 'note' as const, says: 'nobody has probed this root yet' };
  }
  await sweepProbes(host, store);
  const { version } = await host.gpfs.fs(store.facts.fileSystem);
  return describeProbe(await probeNow(host, store, showRelease(version)));
}

const pairMs = 60_000;

async function pairing(host: Examination, store: RootStore) {
  if (!host.twoNodes) return [];
  switch (await probeTwoNodes(host, store, pairMs)) {
    case 'settled': {
      const { redirectAttached } = await store.abilities.read();
      return redirectAttached
        ? 'a volume can be redirected by one node while another writes to it'
        : 'a volume cannot be redirected by one node while another writes to it: attached volumes wait';
    }
    case 'alone':
      return unanswered(
        'no second node took part; run this on another node at the same time, or have servers with --compact-attached auto there',
      );
    case 'unknown':
      return unanswered('the other node did not go on to the end; try again');
  }
}

/** Clone parents that hold no blocks: each costs a level, and saves nothing. */
function emptyOf(files: AuditFacts['files']): string {
  const empty = files.filter(({ clone, held }) => clone?.kind === 'parent' && held === 0n).length;
  return empty === 0
    ? ''
    : ` (${counted(empty, 'parent or snapshot holds', 'parents and snapshots hold')} no blocks)`;
}

const unanswered = (says: string) => ({ status: 'warning' as const, says });

async function mending(host: Examination, store: RootStore) {
  if (!host.mend) return [];
  let done = 0;
  const onRepair = (sentence: string): void => {
    done += 1;
    host.onRepair(sentence);
  };
  await repair({ ...host, ...host.mend, onRepair }, store);
  return done === 0 ? 'there was nothing to mend' : [];
}

async function records(host: Examination, store: RootStore) {
  const { facts, findings } = await audit(host, store);
  return [counts(facts, findings), ...findings.map(asCheck)];
}

function counts(
  { records: known, files }: AuditFacts,
  findings: readonly Finding[],
): Omit<Check, 'name'> {
  const of = (kind: string) =>
    known.filter((record) => record.kind === kind && record.state !== 'deleted').length;
  const all = [
    counted(of('volume'), 'volume'),
    counted(of('snapshot'), 'snapshot'),
    counted(of('hidden'), 'clone parent'),
  ].join(', ');
  const wrong = findings.filter(({ kind }) => severities[kind] !== 'note').length;
  return wrong === 0
    ? { status: 'ok', says: `${all}${emptyOf(files)}: records, files and GPFS agree` }
    : {
        status: 'note',
        says: `${all}${emptyOf(files)}: ${counted(wrong, 'thing does', 'things do')} not agree`,
      };
}

const asCheck = ({ kind, object, says, remedy }: Finding): Omit<Check, 'name'> => {
  const severity = severities[kind];
  return {
    status: severity === 'error' ? 'failed' : severity,
    says: `${kind}: ${says}; ${remedy}`,
    object,
  };
};
