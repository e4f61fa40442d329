/** Facts of one log line, as values and not as parts of the sentence. */
export type Fields = Readonly<Record<string, unknown>>;

/** The log of the driver. Inner layers take it as a parameter. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

const nothing = (): void => undefined;

/** A log that drops every line. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
