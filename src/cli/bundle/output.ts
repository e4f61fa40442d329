import { pipeline } from 'node:stream/promises';
import { openNamed, type Trust } from '../../run/named/named.ts';
import { newFile } from '../../run/streams.ts';

/**
 * Writes what `make` resolves to into a new file that only its owner may read; `-` is standard output. Throws wrong-state
 * where something has that name already.
 */
export async function intoNewFile(
  path: string,
  trust: Trust,
  make: () => Promise<Uint8Array>,
): Promise<void> {
  if (path === '-') {
    const bytes = await make();
    await pipeline([bytes], process.stdout, { end: false });
    return;
  }
  await using named = await openNamed(path, trust);
  const write = await newFile(named, { mode: 0o600, otherwise: 'name a new file' });
  await write(await make());
}
