import { z } from 'zod';
import { plainName } from '../../model/forest/words.ts';
import { itemsIn } from './cluster.ts';

const named = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
});

const claimSchema = z.looseObject({
  metadata: named.extend({ namespace: z.string() }),
  spec: z.looseObject({
    volumeName: z.string().optional(),
    storageClassName: z.string().nullish(),
    accessModes: z.array(z.string()).default([]),
  }),
  status: z.looseObject({ phase: z.string().default('?') }).default({ phase: '?' }),
});
export type SeenClaim = z.output<typeof claimSchema>;

const volumeSchema = z.looseObject({
  metadata: named,
  spec: z.looseObject({
    persistentVolumeReclaimPolicy: z.string().default('?'),
    claimRef: z.looseObject({ namespace: z.string(), name: z.string() }).optional(),
    csi: z.looseObject({ driver: z.string(), volumeHandle: z.string() }).optional(),
  }),
  status: z.looseObject({ phase: z.string().default('?') }).default({ phase: '?' }),
});
export type SeenPv = z.output<typeof volumeSchema>;

const attachmentSchema = z.looseObject({
  metadata: named,
  spec: z.looseObject({
    attacher: z.string(),
    nodeName: z.string(),
    source: z.looseObject({ persistentVolumeName: z.string().optional() }),
  }),
  status: z
    .looseObject({
      attached: z.boolean().optional(),
      attachError: z.looseObject({ message: z.string().default('') }).optional(),
      detachError: z.looseObject({ message: z.string().default('') }).optional(),
    })
    .default({}),
});
export type SeenAttachment = z.output<typeof attachmentSchema>;

const userPod = z.looseObject({
  metadata: named,
  spec: z.looseObject({
    nodeName: z.string().optional(),
    volumes: z
      .array(
        z.looseObject({
          persistentVolumeClaim: z.looseObject({ claimName: z.string() }).optional(),
          ephemeral: z.unknown().optional(),
          name: z.string(),
        }),
      )
      .default([]),
  }),
  status: z.looseObject({ phase: z.string().default('?') }).default({ phase: '?' }),
});
export type SeenPod = z.output<typeof userPod>;

const eventSchema = z.looseObject({
  type: z.string().default(''),
  reason: z.string().default(''),
  message: z.string().default(''),
  count: z.number().nullish(),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
});
export type SeenEvent = z.output<typeof eventSchema>;

/** What the API says of one volume. */
export interface ApiFacts {
  readonly claim: SeenClaim | undefined;
  readonly volume: SeenPv | undefined;
  readonly attachments: readonly SeenAttachment[];
  readonly pods: readonly SeenPod[];
  readonly events: readonly SeenEvent[];
}

export const claimIn = (object: unknown): SeenClaim => claimSchema.parse(object);
export const volumeIn = (object: unknown): SeenPv => volumeSchema.parse(object);

/** PersistentVolumes in a list. */
export const volumesIn = (list: unknown): readonly SeenPv[] => itemsIn(list, volumeSchema);

/** VolumeAttachments of a PersistentVolume. */
export const attachmentsOf = (list: unknown, volume: string): readonly SeenAttachment[] =>
  itemsIn(list, attachmentSchema).filter(({ spec }) => spec.source.persistentVolumeName === volume);

/** Pods that use a claim, also one that is made for the pod itself (`POD-VOLUME`). */
export const podsUsing = (list: unknown, claim: string): readonly SeenPod[] =>
  itemsIn(list, userPod).filter(({ metadata, spec }) =>
    spec.volumes.some(
      ({ persistentVolumeClaim, ephemeral, name }) =>
        persistentVolumeClaim?.claimName === claim ||
        (ephemeral !== undefined && `${metadata.name}-${name}` === claim),
    ),
  );

/** The last events in a list, oldest first. */
export const lastEvents = (list: unknown, most: number): readonly SeenEvent[] =>
  itemsIn(list, eventSchema)
    .toSorted((a, b) => timeOf(a) - timeOf(b))
    .slice(-most);

const timeOf = ({ lastTimestamp, eventTime }: SeenEvent): number =>
  Date.parse(lastTimestamp ?? eventTime ?? '') || 0;

/** The node whose driver knows most of a volume: where it is attached, else where a pod that uses it runs. */
export function nodeToAsk({ attachments, pods }: ApiFacts): string | undefined {
  const attached = attachments.find(({ status }) => status.attached === true) ?? attachments[0];
  return attached?.spec.nodeName ?? pods.find(({ spec }) => spec.nodeName)?.spec.nodeName;
}

/** What the API says, a line for each fact. */
export function factsText(facts: ApiFacts): readonly string[] {
  const { claim, volume, attachments, pods, events } = facts;
  return [
    ...(claim ? [row('claim', claimWords(claim))] : []),
    ...(volume ? [row('volume', volumeWords(volume))] : []),
    ...attachments.map((each) => row('attachment', attachmentWords(each))),
    ...(attachments.length === 0 ? [row('attachment', 'none: no node has it')] : []),
    ...pods.map(({ metadata, spec, status }) =>
      row(
        'pod',
        `${metadata.name}, ${status.phase}, ${spec.nodeName ? `on node ${spec.nodeName}` : 'on no node yet'}`,
      ),
    ),
    ...(pods.length === 0 ? [row('pod', 'none uses the claim')] : []),
    ...events.map((each) => row(`event ${each.type}`, eventWords(each))),
  ];
}

const row = (label: string, text: string): string =>
  `  ${plainName(label).padEnd(15)} ${plainName(text.slice(0, 1000))}`;

const claimWords = ({ metadata, spec, status }: SeenClaim): string =>
  `${metadata.namespace}/${metadata.name}, ${status.phase}, class ${spec.storageClassName ?? 'none'}, ${spec.accessModes.join(' ')}`;

const volumeWords = ({ metadata, spec, status }: SeenPv): string =>
  `${metadata.name}, ${status.phase}, ${spec.persistentVolumeReclaimPolicy}, handle ${spec.csi?.volumeHandle ?? 'none'}`;

function attachmentWords({ spec, status }: SeenAttachment): string {
  const error = status.attachError?.message ?? status.detachError?.message;
  const state = status.attached === true ? 'attached' : 'not attached yet';
  return `${state}, node ${spec.nodeName}${error ? `, ${error}` : ''}`;
}

const eventWords = ({ reason, message, count }: SeenEvent): string =>
  `${reason}${count && count > 1 ? ` (${count} times)` : ''}: ${message}`;
