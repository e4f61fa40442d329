// For `node --import`: a new file whose name has `.part-` in it is handed out once SWAPPED exists, so that an attacker has
// all the time that there can be between its creation and its first use.
import { existsSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const { open } = files;
files.open = async (path, ...how) => {
  const handle = await open(path, ...how);
  const swapped = process.env['SWAPPED'] ?? '';
  if (String(path).includes('.part-')) while (!existsSync(swapped)) await sleep(5);
  return handle;
};
syncBuiltinESMExports();
