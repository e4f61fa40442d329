import { plainName } from '../forest/words.ts';
import type { DeviceFacts, LocalFacts } from './facts.ts';
import { rounded, size, took, type Row } from './rows.ts';

/** What one node has of a volume. */
export function localRows(here: LocalFacts): readonly Row[] {
  const { recordPath, staged, stagingPath, generation, devices, mounts, pods } = here;
  return [
    ['record', [recordPath]],
    ['generation', [generation]],
    ['staged', [staged ? plainName(stagingPath) : 'no, or half way']],
    ['loop device', devices.flatMap(deviceLines)],
    [
      'mounted at',
      mounts.map(
        ({ path, type, readonly }) =>
          `${plainName(path)} (${type}${readonly ? ', read-only' : ''})`,
      ),
    ],
    ['pods', pods.map(({ uid, path }) => `UID ${plainName(uid)} at ${plainName(path)}`)],
  ];
}

function deviceLines(device: DeviceFacts): readonly string[] {
  const { path, directIo, readonly, sectorBytes, bytes, current, recorded, counters } = device;
  const io = directIo ? 'direct I/O' : 'buffered I/O';
  const { reads, readBytes, readMs, writes, writtenBytes, writeMs, inFlight } = counters;
  return [
    `${path}, ${size(bytes)}, ${io}, sectors of ${sectorBytes}${readonly ? ', read-only' : ''}`,
    `${current ? 'has the current image' : 'has ANOTHER file than the current image'}${recorded ? '' : '; the driver did NOT attach it'}: ${plainName(device.file)}`,
    `${counted(reads, 'read', readBytes, readMs)}; ${counted(writes, 'write', writtenBytes, writeMs)}; ${inFlight} in flight`,
  ];
}

/** `12 reads (3 MiB, 0.5 ms each)`. */
function counted(count: number, what: string, bytes: number, ms: number): string {
  if (count === 0) return `no ${what}s`;
  const each = Math.round((ms / count) * 10) / 10;
  return `${count} ${what}${count === 1 ? '' : 's'} (${rounded(bytes)}, ${each < 1000 ? `${each} ms` : took(each)} each)`;
}
