// A server in a process of its own, for tests that kill one: says "ready" when it serves.
import { serveGrpc } from '../../../src/server/transport/listen.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { memoryServices } from './services.ts';

await serveGrpc({
  services: memoryServices().services,
  log: silentLog,
  endpoint: process.argv[2] ?? '',
  limitMs: 10_000,
  onVanished: () => process.exit(1),
  watchMs: 50,
});
process.stdout.write('ready\n');
