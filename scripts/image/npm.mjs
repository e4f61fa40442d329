import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ask } from '../ensure/run.mjs';

/**
 * How npm reaches its registry from this machine, as folders to be mounted for the build: nothing of
 * it gets into a layer. /usr/local/etc is where npm in the base looks for settings of the machine.
 */
export function npmSettings(scratch) {
  const folder = join(scratch, 'npm-settings');
  mkdirSync(folder, { mode: 0o700 });
  const files = [ask('npm', ['config', 'get', 'globalconfig'])?.trim(), join(homedir(), '.npmrc')];
  const lines = files
    .filter((file) => file !== undefined && existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    // These name files of this machine.
    .filter((line) => line !== '' && !/^\s*(?:cafile|nodedir|prefix)\s*=/.test(line));
  const registry = ask('npm', ['config', 'get', 'registry'])?.trim();
  if (registry) lines.push(`registry=${registry}`);
  const authorities = process.env.NODE_EXTRA_CA_CERTS ?? '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(authorities)) {
    copyFileSync(authorities, join(folder, 'ca.crt'));
    lines.push('cafile=/usr/local/etc/ca.crt');
  }
  writeFileSync(join(folder, 'npmrc'), `${lines.join('\n')}\n`, { mode: 0o600 });
  return [[folder, '/usr/local/etc']];
}
