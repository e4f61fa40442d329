/**
 * What one GPFS lets the driver do where its documentation is silent. The probe of a root finds it out with
 * tiny files and keeps it in the root; every policy has a branch for each "no".
 */
export interface Abilities {
  /** `mmclone snap` of a file that something has open for writing. */
  readonly snapOpen: boolean;
  /** `mmclone redirect` of a file that something on this node has open for writing. */
  readonly redirectOpen: boolean;
  /** The same while a loop device on another node writes: only a probe of two nodes says yes. */
  readonly redirectAttached: boolean;
  /** `mmclone redirect` of a clone parent that has children itself. */
  readonly redirectParent: boolean;
  /** Zeroing and discarding part of a block of a clone reads as zeros and leaves its parent as it was. */
  readonly zeroInClone: boolean;
  /** Loop devices with direct I/O. */
  readonly directIo: boolean;
}

/** Before any probe: what the documentation promises, and "no" where a wrong "yes" would cost data. */
export const unprobed: Abilities = {
  snapOpen: true,
  redirectOpen: false,
  redirectAttached: false,
  redirectParent: false,
  zeroInClone: true,
  directIo: true,
};
