import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const description = z.object({ version: z.string().min(1) });

/**
 * The version in package.json. That file is above src in a checkout, above dist in a package, and beside the
 * program in an image.
 */
export function packageVersion(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const above of ['.', '..', '../../..']) {
    const text = readOrNothing(join(here, above, 'package.json'));
    if (text !== undefined) return description.parse(JSON.parse(text)).version;
  }
  throw new Error('package.json is missing beside the program');
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
