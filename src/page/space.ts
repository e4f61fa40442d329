import type { Forest, ForestNode } from '../model/forest/forest.ts';
import { icicleOf, labelsOf, type IcicleBox } from '../model/forest/icicle.ts';
import { rowsOf } from '../model/forest/view.ts';
import { draw, make, section } from './dom.ts';

/** The forest by area; a click on a file calls `choose` with its key. */
export function spaceOf(forest: Forest<ForestNode>, choose: (key: string) => void): HTMLElement {
  const { width, height, boxes } = icicleOf([...rowsOf(forest, { collapse: true })]);
  const attributes = {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': 'the files by the space they take; the tree below says the same in words',
  };
  // What is narrower than half a pixel would only blur.
  const drawn = boxes.filter(({ wide }) => wide > 0.5).map((box) => boxOf(box, choose));
  return section(
    'space',
    'Space',
    make('p', {
      text: 'A file stands below the one that it reads through, and is as wide as it and all below it take space. The darker, the more blocks lie in the file itself; what is dead is dashed. A click finds the file in the tree.',
    }),
    draw('svg', { class: 'icicle', attributes }, ...drawn),
  );
}

function boxOf(box: IcicleBox, choose: (key: string) => void): SVGElement {
  const { row, x, y, wide, high, shade, dead, name, own } = box;
  const [first, second] = labelsOf(box);
  const light = Math.round(shade * 4);
  const lines = [
    draw('title', { text: `${name}, own ${own}` }),
    draw('rect', { attributes: { x, y, width: wide, height: high } }),
    ...(first === '' ? [] : [draw('text', { text: first, attributes: { x: x + 4, y: y + 13 } })]),
    ...(second === '' ? [] : [draw('text', { text: second, attributes: { x: x + 4, y: y + 27 } })]),
  ];
  const group = draw('g', { class: `shade-${light}${dead ? ' dead' : ''}` }, ...lines);
  if ('node' in row)
    group.addEventListener('click', () => {
      choose(row.node.key);
    });
  return group;
}
