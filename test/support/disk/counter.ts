import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that writes one number after the other. It prints each number after its fsync. */
export function startCounter(path: string) {
  const program = fileURLToPath(new URL('./writer.ts', import.meta.url));
  const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  let last = 0;
  const waiting = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    last += chunk.toString().split('\n').length - 1;
    for (const look of waiting) look();
  });
  return {
    acknowledged: () => last,
    reaches: (count: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (last < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    stop: () =>
      new Promise((resolve) => {
        child.once('close', resolve);
        child.stdin.end();
      }),
  };
}
