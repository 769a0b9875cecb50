/** A part inside a notebook cell: as an ipywidget (anywidget), or drawn by the labextension from a saved output. */
import { Client } from './client';
import type { Context, Part } from './context';
import { h } from './dom';
import { keepKeys } from './keyboard';
import { sharedStream } from './stream';

/** What anywidget gives to a view: traits of the kernel's object. */
export interface TraitModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, handler: (message: unknown) => void): void;
  off(name: string, handler?: (message: unknown) => void): void;
  send(content: unknown): void;
}

export interface RenderProps {
  model: TraitModel;
  el: HTMLElement;
}

/** The page's own dialogs and tabs, where the labextension has offered them. */
type PageManners = Pick<Context, 'open' | 'confirm' | 'notify'>;

interface Registry {
  [key: symbol]: PageManners | undefined;
}

const PAGE = Symbol.for('deepft-lab.page');

/** Offers the page's own dialogs, toasts and tabs to the panels of notebooks on it. */
export function sharePage({ open, confirm, notify }: PageManners): void {
  (globalThis as unknown as Registry)[PAGE] = { open, confirm, notify };
}

/** A context for a panel: the page's server, the page's one stream, and the page's manners where there are any. */
export function cellContext(): Context {
  const client = new Client();
  return { client, stream: sharedStream(client), ...(globalThis as unknown as Registry)[PAGE] };
}

/** What a panel's module exports: draws into the view's element and gives the clean-up back. */
export function panel(mount: (host: HTMLElement, context: Context, model: TraitModel) => Part): {
  render(props: RenderProps): () => void;
} {
  return {
    render({ model, el }) {
      const host = h('div', { class: 'dft-cell' });
      el.append(host);
      const release = keepKeys(host);
      const part = mount(host, cellContext(), model);
      return () => {
        release();
        part.dispose();
        host.remove();
      };
    },
  };
}

/** The ids that the kernel gave to its panel. */
export function targetOf(model: TraitModel): { owner: string; app: string; model: string; version: string } {
  const given = model.get('_target') as Record<string, string | null>;
  const text = (name: string): string => given[name] ?? '';
  return { owner: text('owner'), app: text('app'), model: text('model'), version: text('version') };
}
