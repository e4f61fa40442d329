import type { SimulatedFileset, Ground } from '../core/ground.ts';
import type { SimulatedRelease } from '../core/personality.ts';
import { ctime, encode, none } from './text.ts';

// Releases only appended columns, so each release has the first columns of this list.
const columns =
  'filesystemName filesetName id rootInode status path parentId created inodes dataInKB comment filesetMode afmTarget afmState afmMode afmFileLookupRefreshInterval afmFileOpenRefreshInterval afmDirLookupRefreshInterval afmDirOpenRefreshInterval afmAsyncDelay reserved afmExpirationTimeout afmRPO afmLastPSnapId inodeSpace isInodeSpaceOwner maxInodes allocInodes inodeSpaceMask afmShowHomeSnapshots afmNumReadThreads reserved afmReadBufferSize afmWriteBufferSize afmReadSparseThreshold afmParallelReadChunkSize afmParallelReadThreshold snapId afmNumFlushThreads afmPrefetchThreshold afmEnableAutoEviction permChangeFlag afmParallelWriteThreshold freeInodes afmNeedsResync afmParallelWriteChunkSize afmNumWriteThreads afmPrimaryID afmDRState afmAssociatedPrimaryId afmDIO afmGatewayNode afmIOFlags afmVerifyDmapi afmSkipHomeACL afmSkipHomeMtimeNsec afmForceCtimeChange afmSkipResyncRecovery afmSkipConflictQDrop afmRefreshAsync afmParallelMounts afmRefreshOnce afmSkipHomeCtimeNsec afmReaddirOnce afmResyncVer2 afmSnapUncacheOnly afmFastCreate afmObjectXattr afmObjectVHB afmObjectNoDirectoryObj afmObjectDirectoryObj afmObjectFastReaddir falStatus'.split(
    ' ',
  );

const lengths: Readonly<Record<SimulatedRelease, number>> = {
  '4.1': 50,
  '5.0': 64,
  '5.2': columns.length,
  '6.0': columns.length,
};

/** The columns of `mmlsfileset -Y` in this release. */
export const filesetColumns = (release: SimulatedRelease): readonly string[] =>
  columns.slice(0, lengths[release]);

/** One row of the table; all columns of AFM are `-`. */
export function filesetCells(
  ground: Ground,
  fileset: SimulatedFileset,
  shown: readonly string[],
): readonly string[] {
  const { junction, comment, name } = fileset;
  const owner = fileset.independent;
  const cells: Readonly<Record<string, string>> = {
    filesystemName: ground.device,
    filesetName: encode(name),
    id: String(fileset.id),
    rootInode: fileset.rootInode,
    ...whereabouts(junction),
    parentId: name === 'root' || junction === undefined ? '--' : '0',
    created: encode(ctime(fileset.createdMs)),
    comment: encode(comment),
    filesetMode: 'off',
    inodeSpace: owner ? String(fileset.id) : '0',
    isInodeSpaceOwner: owner ? '1' : '0',
    maxInodes: owner ? '513024' : '0',
    allocInodes: owner ? '513024' : '0',
    freeInodes: owner ? '512000' : '0',
    snapId: '0',
    falStatus: 'off',
    permChangeFlag: 'chmodAndSetacl',
  };
  return shown.map((column) => cells[column] ?? '-');
}

const whereabouts = (junction: string | undefined): Readonly<Record<string, string>> =>
  junction === undefined
    ? { status: 'Unlinked', path: none }
    : { status: 'Linked', path: encode(junction) };
