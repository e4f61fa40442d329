import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A process that writes one number after the other. It prints each number after its fsync. */
export function startCounter(path: string) {
  const program = fileURLToPath(new URL('./writer.ts', import.meta.url));
  const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  let last = 0;
  const waiting = new Set<() => void>();
  const closed = once(child, 'close');
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
    stop: () => {
      child.stdin.end();
      return closed;
    },
  };
}
