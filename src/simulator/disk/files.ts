import { lstatSync, readFileSync } from 'node:fs';
import { errnoError, type Files } from '../../run/files.ts';
import { birthOf, damagesOf } from './state/file-tracker.ts';
import { simulatorLayoutOf, type SimulatorLayout } from './state/layout.ts';
import { noSpace, readPersonality } from '../core/personality.ts';
import { checkOneFileset, removeName, rename } from './rm-mv.ts';
import { absolute, lockOf, realGround, type RealGround } from './ground.ts';
import { heldOn } from './held-blocks.ts';
import { lookAt, stateFiles } from './state/state-files.ts';

/**
 * The Files port of the host, with the answers that GPFS would give: it refuses what the kernel allows, and records
 * removed and renamed clones at once. Calls for files that are no clones go straight to the host.
 */
export function simulatedFiles(host: Files, simulator: { readonly dir: string }): Files {
  const layout = simulatorLayoutOf(simulator.dir);
  const guard = guardOf(layout);
  return {
    ...host,
    ...reading(host, guard, layout),
    ...creating(host, guard),
    makeDirectory: async (path, mode) => {
      if (!lookAt(path)) guard.spend(path);
      await host.makeDirectory(path, mode);
    },
    grow: async (path, size) => {
      await guard.sound(path);
      if (guard.isParent(path)) throw errnoError('EROFS', 'open', path);
      if ((await host.stat(path)).size < size) guard.spend(path);
      return host.grow(path, size);
    },
    copyRange: async (from, to, ...rest) => {
      await guard.sound(from);
      guard.write(to);
      await host.copyRange(from, to, ...rest);
    },
    writeZeros: async (path, ...rest) => {
      guard.write(path);
      await host.writeZeros(path, ...rest);
    },
    link: async (existing, path) => {
      checkOneFileset(layout, existing, path);
      await host.link(existing, path);
    },
    ...removing(host, guard, layout),
  };
}

const creating = (
  host: Files,
  guard: Guard,
): Pick<Files, 'createDurable' | 'overwrite' | 'createSparse'> => ({
  createDurable: async (path, text, mode) => {
    guard.spend(path);
    await host.createDurable(path, text, mode);
  },
  overwrite: async (path, text) => {
    const { size } = await host.stat(path);
    if (BigInt(Buffer.byteLength(text)) > size) guard.spend(path);
    await host.overwrite(path, text);
  },
  createSparse: async (path, size, mode) => {
    guard.spend(path);
    return host.createSparse(path, size, mode);
  },
});

function reading(
  host: Files,
  guard: Guard,
  layout: SimulatorLayout,
): Pick<Files, 'read' | 'head' | 'stat' | 'held' | 'chmod'> {
  const held = heldOn(layout);
  return {
    read: async (path) => {
      await guard.sound(path);
      return host.read(path);
    },
    head: async (path, bytes) => {
      await guard.sound(path);
      return host.head(path, bytes);
    },
    stat: async (path) => {
      await guard.sound(path);
      const stat = await host.stat(path);
      // The links for children exist and the kernel counts them, so only the answer can differ.
      const counts = stat.links < 2 || stat.kind !== 'file' || personalityOf(layout).linkCount;
      return counts || !guard.isParent(path) ? stat : { ...stat, links: 1 };
    },
    chmod: async (path, mode) => {
      if (!personalityOf(layout).chmodParent && guard.isParent(path))
        throw errnoError('EROFS', 'chmod', path);
      await host.chmod(path, mode);
    },
    held: async (path) => {
      await guard.sound(path);
      return guard.isOn(path) ? held(path) : host.held(path);
    },
  };
}

function removing(
  host: Files,
  guard: Guard,
  layout: SimulatorLayout,
): Pick<Files, 'rename' | 'unlink' | 'touch' | 'space'> {
  return {
    rename: (from, to) =>
      guard.isKnown(from) || guard.isKnown(to) || lookAt(from)?.isDirectory()
        ? guard.locked((ground) => {
            rename(ground, from, to);
          })
        : host.rename(from, to),
    unlink: (path) =>
      guard.isKnown(path)
        ? guard.locked((ground) => {
            removeName(ground, path);
          })
        : host.unlink(path),
    touch: async (path) => {
      await host.touch(path);
      if (guard.isParent(path)) {
        await guard.locked((ground) => {
          thaw(ground, path);
        });
      }
    },
    space: async (path) => {
      const space = await host.space(path);
      const full = personalityOf(layout).full && guard.isOn(path);
      return full ? { ...space, used: space.total, available: 0n } : space;
    },
  };
}

type Guard = ReturnType<typeof guardOf>;

/** Tells whether a file is a clone parent of this simulator, and how the simulated GPFS behaves. */
export function parentsOf(simulator: { readonly dir: string }) {
  const layout = simulatorLayoutOf(simulator.dir);
  const { isParent } = guardOf(layout);
  return { isParent, personality: () => personalityOf(layout) };
}

function guardOf(layout: SimulatorLayout) {
  const states = stateFiles(layout);
  const lock = lockOf(layout);
  const stateOf = (path: string) => {
    const stat = lookAt(path);
    const state = stat?.isFile() ? states.read(String(stat.ino)) : undefined;
    return stat && state?.birth === birthOf(stat) ? state : undefined;
  };
  const isOn = (path: string): boolean =>
    lookAt(path)?.dev === lstatSync(layout.mount, { bigint: true }).dev;
  const locked = <T>(work: (ground: RealGround) => T): Promise<T> =>
    lock.holdSoon(() => {
      const ground = realGround(layout.dir);
      ground.recover();
      return work(ground);
    });
  return {
    isOn,
    locked,
    isKnown: (path: string): boolean => isOn(path) && stateOf(path) !== undefined,
    isParent: (path: string): boolean => isOn(path) && stateOf(path)?.record.isParent === true,
    /** Fails with EROFS for a parent, with ENOSPC or EDQUOT when the personality has no space. */
    write: (path: string): void => {
      if (isOn(path) && stateOf(path)?.record.isParent) throw errnoError('EROFS', 'open', path);
      const code = noSpace(personalityOf(layout));
      if (code !== undefined && isOn(path)) throw errnoError(code, 'write', path);
    },
    /** Fails with EIO for a file that is damaged or has a damaged ancestor. */
    sound: async (path: string): Promise<void> => {
      if (damagesOf(layout).length === 0 || !isOn(path) || !stateOf(path)) return;
      await locked((ground) => ground.facts(path));
    },
    /** Fails with ENOSPC or EDQUOT when the personality has no space. */
    spend: (path: string): void => {
      const code = noSpace(personalityOf(layout));
      if (code !== undefined && isOn(absolute(`${path}/..`))) throw errnoError(code, 'open', path);
    },
  };
}

// Synchronous: every call reads these few bytes, and asynchronous reading takes four turns of the thread pool.
const personalityOf = (layout: SimulatorLayout) =>
  readPersonality(JSON.parse(readFileSync(layout.personality, 'utf8')) as Record<string, unknown>);

// Records the new time of a parent: its attributes may change, only its data may not.
function thaw(ground: RealGround, path: string): void {
  const stat = lstatSync(path, { bigint: true });
  const state = ground.states.read(String(stat.ino));
  if (!state?.frozen) return;
  const frozen = { ...state.frozen, modifiedNs: String(stat.mtimeNs) };
  ground.states.write({ ...state, frozen });
}
