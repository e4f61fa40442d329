/** Facts of one log line, as values and not glued into the sentence. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where the driver says what it does. Inner layers take it as a parameter. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

const nothing = (): void => undefined;

/** A log that nobody reads. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
