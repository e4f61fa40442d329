import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { GiB } from '../../../src/model/bytes.ts';
import { commandLine, startCommand } from '../../support/disk/command.ts';
import { realSite } from '../../support/disk/real-site.ts';

// A command on a pseudo-terminal, which script(1) makes; it has no window, and so no size.

const site = await realSite();
const server = await site.serve('a1');
await server.end();
const disk = join(site.directory, 'disk.raw');
await writeFile(disk, '');
// Holes are read as fast as memory: long enough to be interrupted, and never written.
await truncate(disk, Number(400n * GiB));

const clear = '\r\u001b[K';
const argv = (name: string) => ['image', 'import', disk, '--name', name, '--format', 'raw'];
const trusted = '--trust-directory';

/** Starts a command on a terminal of its own; `type` writes to its keyboard. */
function onTerminal(words: readonly string[]) {
  const line = commandLine(site, words).map((word) => `'${word}'`);
  const child = spawn('script', ['-qefc', line.join(' '), '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const said = { out: '' };
  child.stdout.on('data', (text: Buffer) => void (said.out += text.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const type = (text: string) => child.stdin.write(text);
  child.stdin.on('error', () => undefined);
  const stop = async () => {
    type('\u0003');
    await ended;
  };
  return { ended, type, stop, out: () => said.out };
}

test('a bar shows an import, is visible from outside, and leaves a clean line at Ctrl-C', async () => {
  const running = onTerminal([...argv('big'), trusted]);
  onTestFinished(running.stop);
  await expect
    .poll(running.out, { timeout: 60_000 })
    .toMatch(/importing big \[[# ]{4,20}\] \d.* of 400 GiB, \d+ %, .*\/s, \d+ \w+ left/);
  const { ended } = startCommand(site, ['explain', 'image:big', '--node-id', 'a1']);
  expect((await ended).out).toMatch(
    /^golden image big\n[^]*running +create by node command-.* of 400 GiB/,
  );
  running.type('\u0003');
  expect(await running.ended).toBe(130);
  const after = running.out().slice(running.out().lastIndexOf(clear) + clear.length);
  expect(after.trim()).toMatch(/^(?:\^C)?gpfs-csi: interrupted; nothing half done is left/);
});
