import { z } from 'zod';
import type { Capability } from '../../../model/capability.ts';
import { whyRefused } from '../../../model/class/mount-flags.ts';
import { boundedFlags, text } from './fields.ts';

const modes = [
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'MULTI_NODE_READER_ONLY',
  'MULTI_NODE_SINGLE_WRITER',
  'MULTI_NODE_MULTI_WRITER',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
] as const;

// A mode that this version of CSI does not know arrives as a number.
const accessMode = z.object(
  { mode: z.enum(modes, { error: 'must be one of the modes of CSI, and not UNKNOWN' }) },
  { error: 'must be given' },
);

const mountFlags = boundedFlags.superRefine((flags, context) => {
  flags.forEach((flag, index) => {
    const message = whyRefused(flag);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [index], message });
  });
});

const mountVolume = z.object({
  fs_type: text(),
  mount_flags: mountFlags,
  volume_mount_group: z.string().refine((group) => group === '', {
    error: 'must be empty: this driver does not offer VOLUME_MOUNT_GROUP',
  }),
});

// A broken sender may put both types on the wire: `access_type` names the one that counts.
const wireCapability = z.discriminatedUnion(
  'access_type',
  [
    z.object({ access_type: z.literal('block'), access_mode: accessMode }),
    z.object({ access_type: z.literal('mount'), access_mode: accessMode, mount: mountVolume }),
  ],
  {
    error: ({ input }) => (input ? 'must say block or mount' : 'must be given'),
  },
);

/** One volume capability, complete. */
export const capability = wireCapability.transform((wire): Capability => ({
  access:
    wire.access_type === 'block'
      ? { kind: 'block' }
      : { kind: 'mount', fsType: wire.mount.fs_type, flags: wire.mount.mount_flags },
  mode: wire.access_mode.mode,
}));

/** At least one capability. */
export const someCapabilities = z.array(capability).min(1, { error: 'must be given' });

/** A capability that may be absent. */
export const optionalCapability = capability
  .nullish()
  .transform((value): Capability | undefined => value ?? undefined);

/** Any number of capabilities. */
export const anyCapabilities = z.array(capability);
