import { doesNotMatch, match } from 'node:assert/strict';
import type { Case } from '../case.ts';
import { apply, kubectl, type Manifest, type Space } from '../kube.ts';
import { claim, className } from '../objects.ts';
import { rootFolder } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';

/** What the events of a claim say when the driver cannot serve it. */
export const wordCases: readonly Case[] = [
  {
    id: 'wrong-root',
    says: 'a class that names no configured root fails its claim with the names of those there are',
    run: (space) =>
      withClass('e2e-wrong-root', { root: '/nowhere' }, async () => {
        const said = await failure(space, 'e2e-wrong-root');
        match(said, new RegExp(rootFolder));
        match(said, /\/nowhere/);
      }),
  },
  {
    id: 'wrong-parameter',
    says: 'a class with a parameter that is not known fails its claim with its name',
    run: (space) =>
      withClass('e2e-wrong-parameter', { colour: 'blue' }, async () => {
        match(await failure(space, 'e2e-wrong-parameter'), /unknown key "colour"/);
      }),
  },
  {
    id: 'wrong-file-system',
    says: 'a class with a file system that the driver does not make fails its claim with those it makes',
    run: (space) =>
      withClass('e2e-wrong-fs', { 'csi.storage.k8s.io/fstype': 'ntfs' }, async () => {
        match(await failure(space, 'e2e-wrong-fs'), /ntfs.*ext4|ntfs.*xfs/);
      }),
  },
  {
    id: 'wrong-pool',
    says: 'a class with a pool that is not there fails its claim with the pools there are',
    run: (space) =>
      withClass('e2e-wrong-pool', { pool: 'nowhere' }, async () => {
        match(await failure(space, 'e2e-wrong-pool'), /"?nowhere"?.*system/);
      }),
  },
  {
    id: 'shared-files',
    says: 'a file system for many writers is refused with the reason',
    run: async (space) => {
      await space.apply(claim('a', { access: 'ReadWriteMany' }));
      match(await described(space, 'a'), /ReadWriteMany|MULTI_NODE|raw block|several nodes/i);
    },
  },
];

async function withClass(
  name: string,
  parameters: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  const driver = await kubectl(['get', 'storageclass', className, '-o', 'jsonpath={.provisioner}']);
  const manifest: Manifest = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: driver,
    parameters,
  };
  await apply(manifest);
  try {
    await work();
  } finally {
    await kubectl(['delete', 'storageclass', name]);
  }
}

async function failure(space: Space, name: string): Promise<string> {
  await space.apply(claim('a', { className: name }));
  return described(space, 'a');
}

/** The driver's words in a claim's failure, as `kubectl describe` shows them: one sentence of a length to read. */
async function described(space: Space, name: string): Promise<string> {
  const said = await until('the claim says why it fails', patienceMs, async () => {
    const text = await space.kubectl(['describe', 'pvc', name]);
    const line = text.split('\n').find((each) => each.includes('ProvisioningFailed'));
    return line === undefined ? undefined : /desc = (?<words>.*)$/.exec(line)?.groups?.['words'];
  });
  match(said, /^[^.\n][^\n]{20,400}$/);
  doesNotMatch(said, /\. [A-Z]|\n| at .*\.ts:\d/);
  return said;
}
