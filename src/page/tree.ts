import { accountsOf } from '../model/forest/accounts.ts';
import { deletionOf, freesEach } from '../model/forest/deletion.ts';
import { deletionText } from '../model/forest/deletion-words.ts';
import type { Forest, ForestNode } from '../model/forest/forest.ts';
import { make, section } from './dom.ts';
import { above, outline, searched, type Compare, type OutlineRow } from './outline.ts';
import { cellsOf, columns, type RowFacts } from './row.ts';
import { list } from './summary.ts';

/** Height of a line, as in the style. */
const lineHigh = 26;
/** Lines that print has at most: the paper of ten thousand helps nobody. */
const mostPrinted = 1500;
/** Trees of so few files are open from the start. */
const fewFiles = 200;

/** The trees of a root: fold, search, sort, and mark files to see what deleting them would free. */
export class TreeView {
  readonly element: HTMLElement;
  private readonly forest: Forest<ForestNode>;
  private readonly facts: RowFacts;
  private readonly open = new Set<string>();
  private readonly marked = new Set<string>();
  private readonly body = make('div', { class: 'rows' });
  private readonly box: HTMLElement;
  private readonly said = make('div', { class: 'said', attributes: { 'aria-live': 'polite' } });
  private readonly count = make('output', { class: 'count' });
  private readonly search = make('input', {
    attributes: {
      type: 'search',
      placeholder: 'search names, handles, nodes',
      'aria-label': 'search',
    },
  });
  private readonly order = make('select', { attributes: { 'aria-label': 'order' } });
  private rows: readonly OutlineRow[] = [];
  private found: ReadonlySet<string> = new Set();
  private at = 0;
  private printing = false;

  constructor(forest: Forest<ForestNode>, nowMs: number) {
    this.forest = forest;
    const accounts = [...accountsOf(forest)].map(
      ({ node, account }) => [node.key, account] as const,
    );
    this.facts = { nowMs, accounts: new Map(accounts), frees: freesEach(forest) };
    if (forest.nodes.size <= fewFiles) for (const key of forest.children.keys()) this.open.add(key);
    for (const { name } of columns)
      this.order.append(make('option', { text: `by ${name}`, attributes: { value: name } }));
    this.order.value = 'own';
    this.box = make(
      'div',
      {
        class: 'tree',
        attributes: {
          role: 'tree',
          tabindex: 0,
          'aria-label': 'clone trees',
          'aria-multiselectable': true,
        },
      },
      this.body,
    );
    this.element = this.assemble();
    this.listen();
    this.refresh();
  }

  /** Opens the way to a file, and puts the cursor on it. */
  choose(key: string): void {
    const node = this.forest.nodes.get(key);
    if (!node) return;
    this.search.value = '';
    for (const each of above(this.forest, node)) this.open.add(each);
    this.refresh();
    this.move(this.rows.findIndex((row) => row.node.key === key));
    this.box.focus();
  }

  /** Draws the lines for a window or, all of them, for paper. */
  drawFor(where: 'screen' | 'paper'): void {
    this.printing = where === 'paper';
    this.element.classList.toggle('printing', this.printing);
    this.refresh();
  }

  private assemble(): HTMLElement {
    const head = make(
      'div',
      { class: 'row head' },
      ...columns.map(({ name }) => make('span', { class: `cell ${name}`, text: name })),
    );
    const help = make('p', {
      class: 'help',
      text: 'Arrows move, open and fold; Home and End jump; Space marks a file, and the box below says what deleting the marked ones would free; / searches.',
    });
    const tools = make('div', { class: 'tools' }, this.search, this.order, this.count);
    return section('trees', 'Clone trees', help, tools, head, this.box, this.said);
  }

  private listen(): void {
    this.search.addEventListener('input', () => {
      this.at = 0;
      this.refresh();
    });
    this.order.addEventListener('change', () => {
      this.refresh();
    });
    this.box.addEventListener('scroll', () => {
      this.paint();
    });
    this.box.addEventListener('keydown', (event) => {
      if (this.press(event.key)) event.preventDefault();
    });
    this.box.addEventListener('click', (event) => {
      const line = (event.target as Element).closest('[data-at]');
      if (!line) return;
      this.move(Number(line.getAttribute('data-at')));
      if ((event.target as Element).closest('.mark')) this.mark();
      else this.fold();
    });
  }

  private press(key: string): boolean {
    const page = Math.max(1, Math.floor(this.box.clientHeight / lineHigh) - 1);
    const keys: Readonly<Record<string, () => void>> = {
      ArrowDown: () => {
        this.move(this.at + 1);
      },
      ArrowUp: () => {
        this.move(this.at - 1);
      },
      PageDown: () => {
        this.move(this.at + page);
      },
      PageUp: () => {
        this.move(this.at - page);
      },
      Home: () => {
        this.move(0);
      },
      End: () => {
        this.move(this.rows.length - 1);
      },
      ArrowRight: () => {
        this.right();
      },
      ArrowLeft: () => {
        this.left();
      },
      Enter: () => {
        this.fold();
      },
      ' ': () => {
        this.mark();
      },
      '/': () => {
        this.search.focus();
      },
    };
    const act = Object.hasOwn(keys, key) ? keys[key] : undefined;
    act?.();
    return act !== undefined;
  }

  private right(): void {
    if (this.rows[this.at]?.open === true) this.move(this.at + 1);
    else this.fold();
  }

  private left(): void {
    const row = this.rows[this.at];
    if (row?.open === true && this.search.value === '') this.fold();
    else if (row)
      this.move(this.rows.findLastIndex(({ level }, n) => n < this.at && level < row.level));
  }

  private fold(): void {
    const row = this.rows[this.at];
    if (row?.open === undefined || this.search.value !== '') return;
    if (row.open) this.open.delete(row.node.key);
    else this.open.add(row.node.key);
    this.refresh();
  }

  private mark(): void {
    const key = this.rows[this.at]?.node.key;
    if (key === undefined) return;
    if (!this.marked.delete(key)) this.marked.add(key);
    const nodes = [...this.marked].flatMap((each) => this.forest.nodes.get(each) ?? []);
    const lines = nodes.length > 0 ? deletionText(nodes, deletionOf(this.forest, this.marked)) : [];
    this.said.replaceChildren(...(lines.length > 0 ? [list(lines)] : []));
    this.paint();
  }

  private move(to: number): void {
    this.at = Math.max(0, Math.min(this.rows.length - 1, to));
    const top = this.at * lineHigh;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    if (top + lineHigh > scrollTop + clientHeight)
      this.box.scrollTop = top + lineHigh - clientHeight;
    this.paint();
  }

  private refresh(): void {
    const search = searched(this.forest, this.search.value);
    this.found = search?.found ?? new Set();
    this.rows = outline(this.forest, this.openNow(), search?.shown, this.compare());
    this.at = Math.max(0, Math.min(this.at, this.rows.length - 1));
    this.count.value = search
      ? `${search.found.size} found`
      : `${this.forest.nodes.size} files, ${this.rows.length} lines`;
    this.paint();
  }

  /** Print opens all: what is folded away cannot be opened on paper. */
  private openNow(): ReadonlySet<string> {
    return this.printing ? new Set(this.forest.children.keys()) : this.open;
  }

  private compare(): Compare {
    const column = columns.find(({ name }) => name === this.order.value);
    const value = column?.order ?? (() => 0);
    return (a, b) => {
      const [x, y] = [value(a, this.facts), value(b, this.facts)];
      return x < y ? -1 : x > y ? 1 : a.key < b.key ? -1 : 1;
    };
  }

  /** Makes only the lines that are in sight. */
  private paint(): void {
    const { scrollTop, clientHeight } = this.box;
    const first = this.printing ? 0 : Math.max(0, Math.floor(scrollTop / lineHigh) - 10);
    const many = this.printing ? mostPrinted : Math.ceil(clientHeight / lineHigh) + 20;
    const lines = this.rows.slice(first, first + many).map((row, n) => this.line(row, first + n));
    const left = this.rows.length - mostPrinted;
    if (this.printing && left > 0)
      lines.push(
        make('p', { text: `… ${left} more files, which the page shows and print does not` }),
      );
    this.body.style.height = this.printing ? 'auto' : `${this.rows.length * lineHigh}px`;
    this.body.replaceChildren(...lines);
    this.box.setAttribute('aria-activedescendant', `line-${this.at}`);
  }

  private line(row: OutlineRow, at: number): HTMLElement {
    const { node, level, position, siblings, open } = row;
    const marked = this.marked.has(node.key);
    const states = [
      'row',
      ...(at === this.at ? ['cursor'] : []),
      ...(marked ? ['marked'] : []),
      ...(this.found.has(node.key) ? ['found'] : []),
    ];
    const line = make(
      'div',
      {
        class: states.join(' '),
        attributes: {
          role: 'treeitem',
          id: `line-${at}`,
          'data-at': at,
          'aria-level': level,
          'aria-posinset': position,
          'aria-setsize': siblings,
          'aria-selected': marked,
          ...(open === undefined ? {} : { 'aria-expanded': open }),
        },
      },
      ...cellsOf(row, this.facts, marked),
    );
    line.style.top = `${at * lineHigh}px`;
    return line;
  }
}
