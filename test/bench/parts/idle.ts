import { setTimeout as sleep } from 'node:timers/promises';
import { memoryFigures, type Bench, type Found } from '../part.ts';

/** What a server costs while it gets no calls. */
export function idle(bench: Bench): Promise<Found> {
  return bench.withServer(
    'idle',
    async (server) => {
      const seconds = bench.quick ? 3 : 15;
      bench.say(`idle for ${seconds} s`);
      // By then the garbage of the start is collected.
      await sleep(2_000, undefined, { signal: bench.signal });
      const { resident } = await server.memory();
      const [cpu, commands] = [await server.cpu(), server.commands().length];
      await sleep(seconds * 1000, undefined, { signal: bench.signal });
      const used = ((await server.cpu()) - cpu) * 1000;
      return {
        figures: [
          { what: 'resident 2 s after start', value: resident, unit: 'MiB', below: 75 },
          ...(await memoryFigures(server, `${seconds + 2} s after start`)),
          { what: 'processor time while idle', value: used / seconds, unit: 'ms per second' },
          {
            what: `commands in ${seconds} s`,
            value: server.commands().length - commands,
            unit: '',
            below: 1,
          },
        ],
      };
    },
    'debug',
  );
}
