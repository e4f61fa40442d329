import { existsSync, readdirSync } from 'node:fs';
import { complete, findProgram, Refusal, timed } from './run.mjs';

/** Installs packages of Debian or Ubuntu; `what` says to the user what they are for. */
export async function installPackages(names, what) {
  const list = names.join(' ');
  if (findProgram('apt-get') === undefined) {
    throw new Refusal(
      `${what} are missing, and there is no apt-get to install them: install what Debian has in ${list}`,
    );
  }
  await timed(`installing ${what} with apt-get: ${list}`, () => install(names, list));
}

async function install(names, list) {
  const first = hasPackageLists() ? await aptInstall(names) : { ok: false };
  if (first.ok) return;
  await apt(['update']);
  const { ok, output } = await aptInstall(names);
  if (!ok) throw new Refusal(`apt-get could not install ${list}:\n${output.trimEnd()}`);
}

const aptInstall = (names) => apt(['install', '-y', '--no-install-recommends', ...names]);

const apt = (args) =>
  complete('apt-get', ['-q', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });

function hasPackageLists() {
  const folder = '/var/lib/apt/lists';
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes('_Packages'));
}
