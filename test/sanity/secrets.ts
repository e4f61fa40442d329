import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const kinds = [
  'CreateVolumeSecret',
  'DeleteVolumeSecret',
  'ControllerPublishVolumeSecret',
  'ControllerUnpublishVolumeSecret',
  'ControllerValidateVolumeCapabilitiesSecret',
  'NodeStageVolumeSecret',
  'NodePublishVolumeSecret',
  'CreateSnapshotSecret',
  'DeleteSnapshotSecret',
  'ControllerExpandVolumeSecret',
  'ControllerModifyVolumeSecret',
  'ListSnapshotsSecret',
  'GetSnapshotSecret',
];

/** Secrets for every request that may carry some, with values that can be searched for. */
export interface Secrets {
  readonly file: string;
  /** Names of the secrets of which `text` shows the value. */
  readonly foundIn: (text: string) => readonly string[];
}

/** Writes a file of secrets for csi-sanity. */
export async function makeSecrets(folder: string): Promise<Secrets> {
  const values = new Map(kinds.map((kind) => [kind, `canary-${randomBytes(12).toString('hex')}`]));
  const file = join(folder, 'secrets.yaml');
  // JSON is YAML.
  const content = Object.fromEntries([...values].map(([kind, value]) => [kind, { key: value }]));
  await writeFile(file, JSON.stringify(content), { mode: 0o600 });
  return {
    file,
    foundIn: (text) => kinds.filter((kind) => text.includes(values.get(kind) ?? '')),
  };
}
