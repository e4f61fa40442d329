import type { HeldFile, HeldLoop, Trials } from '../../run/trials.ts';
import { ServerCrashed } from '../core/faults.ts';
import type { MemoryGround } from './ground.ts';
import type { Behind } from './ports.ts';
import { fail } from '../core/errno.ts';
import type { MemoryNode } from './file-system.ts';

interface Hold {
  readonly path: string;
  readonly node: MemoryNode;
  readonly loop: boolean;
}

/** The Trials port on the in-process GPFS, with the faults of one server. A sector is a block here. */
export function portTrials(behind: Behind & { readonly ground: MemoryGround }): Trials {
  const { ground } = behind;
  const holds = new Set<Hold>();
  const find = (path: string): MemoryNode => ground.fileSystemOf(path).find(path, 'open');
  const release = (hold: Hold): void => {
    if (!holds.delete(hold)) return;
    hold.node.writers -= 1;
    ground.dropUnused(hold.node);
  };
  const through = async <T>(label: string, act: () => T): Promise<T> => {
    try {
      return await behind.faults.through(() => behind.turn(`trials.${label}`), act);
    } catch (error) {
      // When a process dies, the kernel closes its files and keeps its loop devices.
      if (error instanceof ServerCrashed) for (const hold of holds) if (!hold.loop) release(hold);
      throw error;
    }
  };
  const hold = (path: string, { loop }: { readonly loop: boolean }): Hold => {
    const node = find(path);
    const parent = ground.record(node.inode)?.isParent === true;
    if (parent && !ground.personality.writeParent) fail('EROFS', 'open', path);
    node.writers += 1;
    const made = { path, node, loop };
    holds.add(made);
    return made;
  };
  return {
    open: (path) =>
      through(`open ${path}`, () =>
        heldFile(ground, hold(path, { loop: false }), through, release),
      ),
    read: (path, sector) => through(`read ${path}`, () => readOf(ground, find(path), sector)),
    loop: (path) =>
      through(`loop ${path}`, () => heldLoop(ground, hold(path, { loop: true }), through, release)),
    detach: (path) =>
      through(`detach ${path}`, () => {
        for (const each of holds) if (each.loop && each.path === path) release(each);
      }),
  };
}

type Through = <T>(label: string, act: () => T) => Promise<T>;

const readOf = (ground: MemoryGround, { inode }: MemoryNode, sector: number): string =>
  ground.blockOf(inode, sector) ?? '';

function heldFile(
  ground: MemoryGround,
  hold: Hold,
  through: Through,
  release: (hold: Hold) => void,
): HeldFile {
  const { node, path } = hold;
  return {
    write: (sector, text) =>
      through(`write ${path}`, () => {
        node.blocks.set(sector, text);
        node.modifiedMs = ground.now();
      }),
    read: (sector) => through(`read ${path}`, () => readOf(ground, node, sector)),
    close: () =>
      through(`close ${path}`, () => {
        release(hold);
      }),
  };
}

function heldLoop(
  ground: MemoryGround,
  hold: Hold,
  through: Through,
  release: (hold: Hold) => void,
): HeldLoop {
  const { node, path } = hold;
  const { loopDirectIo, zeroInClone, punchHole } = ground.personality;
  const zero = (sector: number): void => {
    // A GPFS that treats a hole in a clone as "not written yet" shows the block of the parent.
    if (zeroInClone) node.blocks.set(sector, '');
    else node.blocks.delete(sector);
  };
  return {
    ...heldFile(ground, hold, through, release),
    directIo: loopDirectIo,
    zero: (sector) =>
      through(`zero ${path}`, () => {
        zero(sector);
      }),
    discard: (sector) =>
      through(`discard ${path}`, () => {
        if (!punchHole) fail('EOPNOTSUPP', 'discard', path);
        zero(sector);
      }),
  };
}
