// Writes 0, 1, 2, … into a file, one a line; says each on standard output once fsync has returned. Ends when
// its standard input does.
import { fsyncSync, openSync, writeSync } from 'node:fs';

const file = openSync(process.argv[2] ?? '', 'a');
let ended = false;
process.stdin.on('end', () => (ended = true)).resume();

function next(number: number): void {
  if (ended) return;
  writeSync(file, `${number}\n`);
  fsyncSync(file);
  process.stdout.write(`${number}\n`, () => setImmediate(next, number + 1));
}

next(0);
