import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/** Mounts a file system that never answers, until it is closed. */
export async function hangAt(directory: string): Promise<{ end(): Promise<void> }> {
  // The process with this end of a FUSE mount must serve it. This one does not, so every access hangs.
  const server = await open('/dev/fuse', 'r+');
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  await ended('mount', ['-i', '-t', 'fuse', '-o', options, 'hung', directory], server.fd);
  return {
    end: async () => {
      await server.close();
      await ended('umount', [directory]);
    },
  };
}

async function ended(program: string, args: readonly string[], ...fds: readonly number[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', ...fds] });
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) throw new Error(`${program} ended with ${String(status)}`);
}
