/** A file or device held open for writing, in sectors of 4096 bytes; '' is a sector of zeros. */
export interface HeldFile {
  /** Durable when it resolves. */
  write(sector: number, text: string): Promise<void>;
  /** What a read past all caches of this handle finds. */
  read(sector: number): Promise<string>;
  close(): Promise<void>;
}

/** A loop device on a file; `close` takes it off again. */
export interface HeldLoop extends HeldFile {
  /** What the kernel says it uses, whatever was asked for. */
  readonly directIo: boolean;
  zero(sector: number): Promise<void>;
  discard(sector: number): Promise<void>;
}

/**
 * What the probe does to its own tiny files beyond the Files port: it holds them open, writes to them, and
 * puts loop devices on them, as a node does with volumes. Rejects as Files does; no answer is made up here.
 */
export interface Trials {
  /** An existing file, for writing. */
  readonly open: (path: string) => Promise<HeldFile>;
  readonly read: (path: string, sector: number) => Promise<string>;
  /** With direct I/O where the kernel takes it. */
  readonly loop: (path: string) => Promise<HeldLoop>;
  /** Takes off every loop device of a file that an earlier probe left. */
  readonly detach: (path: string) => Promise<void>;
}
