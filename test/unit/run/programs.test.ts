import { expect, test } from 'vitest';
import { programs } from '../../../src/run/programs.ts';

test('mm commands run from their directory, or in the namespaces of a process of the host', async () => {
  const places = { mmDirectory: '/usr/lpp/mmfs/bin', searchPath: ['/usr/bin'] };
  const direct = programs({ ...places, mmRunner: { kind: 'direct' } });
  expect(await direct(['mmclone', 'show', '/a'])).toEqual([
    '/usr/lpp/mmfs/bin/mmclone',
    'show',
    '/a',
  ]);
  const host = programs({ ...places, mmRunner: { kind: 'nsenter', procPath: '/host/proc/1' } });
  expect(await host(['mmclone', 'show', '/a'])).toEqual([
    '/usr/bin/nsenter',
    '--mount=/host/proc/1/ns/mnt',
    '--net=/host/proc/1/ns/net',
    '--uts=/host/proc/1/ns/uts',
    '--ipc=/host/proc/1/ns/ipc',
    '--',
    '/usr/lpp/mmfs/bin/mmclone',
    'show',
    '/a',
  ]);
  expect(await host(['env', 'x'])).toEqual(['/usr/bin/env', 'x']);
});

test('a program that is nowhere rejects as a missing file does', async () => {
  const places = { mmDirectory: '/x', mmRunner: { kind: 'direct' }, searchPath: [] } as const;
  await expect(programs(places)(['env'])).rejects.toMatchObject({ code: 'ENOENT' });
});
