/** The inputs that match a filter, loaded page by page as they are needed, and kept up to date. */
import type { Input, InputQuery } from '../api';
import type { Client } from '../client';
import type { AppTarget } from '../context';

const PAGE = 200;

export class InputList {
  items: Input[] = [];
  total = 0;
  loaded = false;
  error: unknown = null;
  private next: string | null = null;
  private filter: InputQuery = {};
  private generation = 0;
  private loading: Promise<void> | null = null;

  constructor(
    private client: Client,
    private target: AppTarget,
    private onChange: () => void,
  ) {}

  get complete(): boolean {
    return this.loaded && this.next === null;
  }

  setFilter(filter: InputQuery): Promise<void> {
    this.filter = filter;
    this.items = [];
    this.total = 0;
    this.loaded = false;
    return this.refresh(0);
  }

  /** Loads pages until `count` inputs are here, or all. */
  async ensure(count: number): Promise<void> {
    while (this.loaded && this.items.length < count && this.next !== null && !this.error) {
      this.loading ??= this.loadNext().finally(() => (this.loading = null));
      await this.loading;
    }
  }

  /** Loads what is shown again: the first `count` inputs, at least a page; the rest follows when it is scrolled to. */
  async refresh(count: number): Promise<void> {
    this.generation += 1;
    const generation = this.generation;
    const params = { owner: this.target.owner, app: this.target.app };
    try {
      const counting = this.client.call('count_inputs', { params, query: this.filter });
      const items: Input[] = [];
      let next: string | null = null;
      do {
        const query: InputQuery = { ...this.filter, limit: PAGE, after: next };
        const page = await this.client.call('inputs', { params, query });
        items.push(...page.inputs);
        next = page.next;
      } while (next !== null && items.length < count && generation === this.generation);
      const { count: total } = await counting;
      if (generation !== this.generation) {
        return;
      }
      this.items = items;
      this.next = next;
      this.total = next === null ? items.length : Math.max(total, items.length + 1);
      this.error = null;
      this.loaded = true;
    } catch (error) {
      if (generation !== this.generation) {
        return;
      }
      this.error = error;
    }
    this.onChange();
  }

  /** Shows a change before the server has confirmed it. */
  patch(ids: ReadonlySet<string>, change: (input: Input) => Input | null): void {
    const before = this.items.length;
    this.items = this.items.flatMap((input) => {
      const next = ids.has(input.id) ? change(input) : input;
      return next ? [next] : [];
    });
    this.total -= before - this.items.length;
    this.onChange();
  }

  private async loadNext(): Promise<void> {
    const generation = this.generation;
    const params = { owner: this.target.owner, app: this.target.app };
    try {
      const query: InputQuery = { ...this.filter, limit: PAGE, after: this.next };
      const page = await this.client.call('inputs', { params, query });
      if (generation !== this.generation) {
        return;
      }
      this.items.push(...page.inputs);
      this.next = page.next;
      if (this.next === null) {
        this.total = this.items.length;
      }
    } catch (error) {
      if (generation === this.generation) {
        this.error = error;
      }
    }
    this.onChange();
  }
}
