import { z } from 'zod';
import { invalid } from './fault.ts';

/** Access modes by their CSI names; decoding refuses UNKNOWN. */
export type AccessMode =
  | 'SINGLE_NODE_WRITER'
  | 'SINGLE_NODE_READER_ONLY'
  | 'MULTI_NODE_READER_ONLY'
  | 'MULTI_NODE_SINGLE_WRITER'
  | 'MULTI_NODE_MULTI_WRITER'
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'SINGLE_NODE_MULTI_WRITER';

/** How a pod sees a volume: as a device, or as a mounted file system. */
export type Access =
  | { readonly kind: 'block' }
  | {
      readonly kind: 'mount';
      /** Empty: the driver's default. */
      readonly fsType: string;
      readonly flags: readonly string[];
    };

/** One CSI volume capability. */
export interface Capability {
  readonly access: Access;
  readonly mode: AccessMode;
}

/** File systems the driver formats and mounts; the first is the default. */
export const fsTypes = ['ext4', 'xfs', 'btrfs'] as const;
export type FsType = (typeof fsTypes)[number];

/** The file system a mount capability asks for, or else its class. Throws invalid-request for one we do not have. */
export function fsTypeOf(
  access: Extract<Access, { kind: 'mount' }>,
  ofClass: FsType = fsTypes[0],
): FsType {
  if (access.fsType === '') return ofClass;
  const known = fsTypes.find((type) => type === access.fsType);
  if (known) return known;
  throw invalid(
    'volume_capability.mount.fs_type',
    `must be one of ${fsTypes.join(', ')}, not ${JSON.stringify(access.fsType)}`,
  );
}

/** Several nodes at once may use a volume in this mode. */
export const isMultiNode = (mode: AccessMode): boolean => mode.startsWith('MULTI_NODE_');

/** No node writes in this mode. */
export const isReaderOnly = (mode: AccessMode): boolean => mode.endsWith('_READER_ONLY');

/** A file system that several nodes mount at once, all of them read-only. */
export const isSharedReading = ({ access, mode }: Capability): boolean =>
  access.kind === 'mount' && mode === 'MULTI_NODE_READER_ONLY';

/** Why this driver cannot serve a capability, in words for the user; undefined when it can. */
export function whyUnsupported({ access, mode }: Capability): string | undefined {
  if (access.kind === 'block') return undefined;
  if (!fsTypes.some((type) => access.fsType === '' || type === access.fsType))
    return `file system ${JSON.stringify(access.fsType)} is not one of ${fsTypes.join(', ')}`;
  if (isMultiNode(mode) && !isReaderOnly(mode))
    return 'a file system of a volume can be written by one node only; use ReadWriteOnce, ReadOnlyMany, or a raw block volume for several nodes';
  return undefined;
}

/** Throws unless every capability can be served. */
export function requireSupported(capabilities: readonly Capability[], field: string): void {
  for (const capability of capabilities) {
    const why = whyUnsupported(capability);
    if (why !== undefined) throw invalid(field, `cannot be served: ${why}`);
  }
}

/** Throws invalid-request where a capability asks for another file system than its class. */
export function requireFsType(
  capabilities: readonly Capability[],
  ofClass: FsType | undefined,
): void {
  for (const { access } of capabilities)
    if (access.kind === 'mount' && ofClass !== undefined && fsTypeOf(access, ofClass) !== ofClass)
      throw invalid(
        'parameters',
        `key "fsType" is ${ofClass}, but the volume capability (csi.storage.k8s.io/fstype) asks for ${access.fsType}; make them the same, or leave one out`,
      );
}

/** Two capabilities that may describe one use of a volume: same access type, file system and flags, same mode. */
export const sameCapability = (a: Capability, b: Capability): boolean =>
  canonicalCapability(a) === canonicalCapability(b);

/** A text that is equal for capabilities that mean the same. */
export function canonicalCapability({ access, mode }: Capability): string {
  if (access.kind === 'block') return `block ${mode}`;
  return `mount ${access.fsType || fsTypes[0]} ${mode} ${JSON.stringify([...access.flags].sort())}`;
}

/** Whether two such texts say the same but for mount flags: the kubelet may add the label of a pod to those. */
export const sameUse = (a: string, b: string): boolean => withoutFlags(a) === withoutFlags(b);

/** The mount flags in such a text. */
export const flagsIn = (text: string): readonly string[] =>
  z.array(z.string()).parse(JSON.parse(/\[.*$/.exec(text)?.[0] ?? '[]'));

const withoutFlags = (text: string): string => text.replace(/ \[.*$/, '');
