import type { Paged, Volume } from '../../../src/model/volume.ts';
import type { Services } from '../../../src/service/api.ts';
import { stopIfLeft } from '../../../src/service/claims/patience.ts';
import { memoryServices, volume } from './services.ts';

type List = (page: unknown) => Promise<Paged<Volume>>;

/** Lists that wait until they are let go, and how often one was made. */
export function heldLists() {
  const goOn = Promise.withResolvers<undefined>();
  const made: unknown[] = [];
  const list: List = async (page) => {
    made.push(page);
    await goOn.promise;
    stopIfLeft();
    return { items: [volume], next: '' };
  };
  return { goOn, made, list };
}

/** Services whose volumes are listed in this way. */
export function withList(list: List): Services {
  const { services } = memoryServices();
  return { ...services, volumes: { ...services.volumes, list } };
}
