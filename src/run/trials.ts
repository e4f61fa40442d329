/** A file or device held open for writing, in sectors of 4096 bytes; '' is a sector of zeros. */
export interface HeldFile {
  /** Durable when it resolves. */
  write(sector: number, text: string): Promise<void>;
  /** What a read past all caches of this handle finds. */
  read(sector: number): Promise<string>;
  close(): Promise<void>;
}

/** A loop device on a file; `close` detaches it. */
export interface HeldLoop extends HeldFile {
  /** What the kernel uses, which may differ from what was asked for. */
  readonly directIo: boolean;
  zero(sector: number): Promise<void>;
  discard(sector: number): Promise<void>;
}

/**
 * What the probe does to its own tiny files beyond the Files port: it keeps them open, writes to them and attaches
 * loop devices, as a node does with volumes. Rejects as Files does, and invents no answer.
 */
export interface Trials {
  /** Opens an existing file for writing. */
  readonly open: (path: string) => Promise<HeldFile>;
  readonly read: (path: string, sector: number) => Promise<string>;
  /** Attaches a loop device, with direct I/O where the kernel allows it. */
  readonly loop: (path: string) => Promise<HeldLoop>;
  /** Detaches every loop device of a file that an earlier probe left. */
  readonly detach: (path: string) => Promise<void>;
}
