// For `node --import`: a new file whose name has `.part-` in it is handed out, and a second name of a file `disk` is
// reported, once SWAPPED exists: an attacker has all the time that there can be between two calls of the driver.
import { existsSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const { link, open } = files;
const swapped = async () => {
  while (!existsSync(process.env['SWAPPED'] ?? '')) await sleep(5);
};
files.open = async (path, ...how) => {
  const handle = await open(path, ...how);
  if (String(path).includes('.part-')) await swapped();
  return handle;
};
files.link = async (existing, path) => {
  await link(existing, path);
  if (String(existing).endsWith('/disk')) await swapped();
};
syncBuiltinESMExports();
