import { destination, pino, stdTimeFunctions } from 'pino';
import { currentContext } from './context.ts';
import type { Fields, Log } from './log.ts';
import { redact } from './redact.ts';
import { textLine } from './text-line.ts';

/** The levels, from the most lines to the fewest. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

/** The least important level that is written. */
export type LogLevel = (typeof logLevels)[number];

/** How a line is written: for programs, or for people. */
export const logFormats = ['json', 'text'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Takes one complete line. */
export interface LineSink {
  write(line: string): void;
}

const standardError = (): LineSink => destination({ fd: 2, sync: true });

/** The log of a server, in this format. */
export const logIn = (format: LogFormat, level: LogLevel, sink = standardError()): Log =>
  jsonLog(level, format === 'text' ? textSink(sink) : sink);

/** One JSON object a line on standard error, with the request it belongs to and without secrets. */
export function jsonLog(level: LogLevel, sink = standardError()): Log {
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
      // The copy is expensive, so a line below the level is dropped before it.
      if (logger.isLevelEnabled(name)) logger[name](redact(fields), message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Writes the lines of a JSON log as text, so that both formats have the same facts and hide the same secrets. */
const textSink = (sink: LineSink): LineSink => ({
  write: (line) => {
    sink.write(`${textLine(JSON.parse(line) as Readonly<Record<string, unknown>>)}\n`);
  },
});
