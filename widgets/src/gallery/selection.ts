/** Which inputs are selected, and which one has the focus: by click, shift-click, ctrl-click and keys. */
import type { Input } from '../api';

export class Selection {
  readonly ids = new Set<string>();
  /** Index that the keyboard is at. */
  active = -1;
  private anchor = 0;

  constructor(private onChange: () => void) {}

  clear(): void {
    this.ids.clear();
    this.onChange();
  }

  /** One input alone, or with `toggle` beside the others, or with `range` all from the last one chosen. */
  choose(items: readonly Input[], index: number, how: { toggle?: boolean; range?: boolean } = {}): void {
    const input = items[index];
    if (!input) {
      return;
    }
    this.active = index;
    if (how.range) {
      if (!how.toggle) {
        this.ids.clear();
      }
      const [from, to] = this.anchor < index ? [this.anchor, index] : [index, this.anchor];
      items.slice(from, to + 1).forEach(({ id }) => this.ids.add(id));
    } else if (how.toggle) {
      this.anchor = index;
      if (!this.ids.delete(input.id)) {
        this.ids.add(input.id);
      }
    } else {
      this.anchor = index;
      this.ids.clear();
      this.ids.add(input.id);
    }
    this.onChange();
  }

  chooseAll(items: readonly Input[]): void {
    items.forEach(({ id }) => this.ids.add(id));
    this.onChange();
  }

  /** Moves the focus; with `extend` the range grows, else the selection stays until Space or a click. */
  move(items: readonly Input[], index: number, extend: boolean): void {
    const bounded = Math.max(0, Math.min(items.length - 1, index));
    if (extend) {
      this.choose(items, bounded, { range: true });
    } else {
      this.active = bounded;
      this.anchor = bounded;
      this.onChange();
    }
  }

  /** Forgets what is not in the list any more. */
  keep(items: readonly Input[], complete: boolean): void {
    if (complete) {
      const there = new Set(items.map(({ id }) => id));
      [...this.ids].filter((id) => !there.has(id)).forEach((id) => this.ids.delete(id));
    }
    this.active = Math.min(this.active, items.length - 1);
  }
}
