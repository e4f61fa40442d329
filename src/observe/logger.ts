import { destination, pino, stdTimeFunctions } from 'pino';
import { currentContext } from './context.ts';
import type { Fields, Log } from './log.ts';
import { redact } from './redact.ts';

/** From the most to the least talkative. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

/** The least important kind of line that is written. */
export type LogLevel = (typeof logLevels)[number];

/** Takes one finished line. */
export interface LineSink {
  write(line: string): void;
}

/** One JSON object a line on standard error, with the request it belongs to and without secrets. */
export function jsonLog(level: LogLevel, sink: LineSink = destination({ fd: 2, sync: true })): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => ({ ...currentContext() }),
    },
    sink,
  );
  const at =
    (name: LogLevel) =>
    (fields: Fields, message: string): void => {
      // Copying is the dear part, so a line that nobody will see is dropped first.
      if (logger.isLevelEnabled(name)) logger[name](redact(fields), message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
