/** What an element gets besides its children. Texts are texts: nothing here is ever read as HTML. */
interface Given {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** Makes an element of HTML. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  given: Given = {},
  ...children: readonly Node[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  fill(element, given);
  element.append(...children);
  return element;
}

/** Makes an element of SVG. */
export function draw(tag: string, given: Given = {}, ...children: readonly Node[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  fill(element, given);
  element.append(...children);
  return element;
}

function fill(element: Element, { class: style, text, attributes = {} }: Given): void {
  if (style !== undefined) element.setAttribute('class', style);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}

/** A section of the page with its heading. */
export const section = (id: string, heading: string, ...children: readonly Node[]): HTMLElement =>
  make('section', { attributes: { id } }, make('h2', { text: heading }), ...children);
