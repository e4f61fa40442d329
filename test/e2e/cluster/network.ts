import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runFolder } from '../setup/places.ts';
import { attempt, sh } from '../setup/shell.ts';

/** The bridge that joins the nodes and this machine, where the control plane is. */
export const bridge = 'gpfscsi';

/** The address of this machine on the bridge. */
export const bridgeAddress = '10.250.0.1';

/** All subnets of pods. */
export const podRange = '10.244.0.0/16';

/** Where credentials of a user of the API lie. */
export const kubeconfig = (user: string): string =>
  join(runFolder, 'credentials', `${user}.kubeconfig`);

/** Makes the bridge. */
export async function makeBridge(): Promise<void> {
  const there = await attempt(['ip', 'link', 'show', bridge]);
  if (there === undefined) await sh(['ip', 'link', 'add', bridge, 'type', 'bridge']);
  await sh(['ip', 'addr', 'replace', `${bridgeAddress}/24`, 'dev', bridge]);
  await sh(['ip', 'link', 'set', bridge, 'up']);
}

/** Removes the bridge. */
export const removeBridge = (): Promise<unknown> => attempt(['ip', 'link', 'del', bridge]);

/** The folders of a node's control groups, in each hierarchy there is. */
export function cgroupsOf(name: string): readonly string[] {
  const top = '/sys/fs/cgroup';
  if (existsSync(join(top, 'cgroup.controllers'))) return [join(top, name)];
  const hierarchies = readdirSync(top, { withFileTypes: true }).filter((each) =>
    each.isDirectory(),
  );
  return hierarchies.map((each) => join(top, each.name, name));
}
