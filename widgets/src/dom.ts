/** Elements in one expression, and a scope that gives every listener back. Text goes in as text, never as HTML. */

export type Child = Node | string | number | null | undefined | false;
export type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with attributes (`true` is an empty one, `false` and null are left out) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...present(children));
  return element;
}

/** Puts children in the place of all that an element held. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...present(children));
}

/** What a part takes with it when it goes: listeners, subscriptions, timers, observers. */
export class Scope {
  private ends: (() => void)[] = [];
  disposed = false;

  add(end: () => void): void {
    if (this.disposed) {
      end();
    } else {
      this.ends.push(end);
    }
  }

  listen<K extends keyof WindowEventMap>(
    target: Window | Document | HTMLElement,
    kind: K,
    handler: (event: WindowEventMap[K]) => void,
    options?: AddEventListenerOptions,
  ): void {
    const listener = handler as EventListener;
    target.addEventListener(kind, listener, options);
    this.add(() => target.removeEventListener(kind, listener, options));
  }

  dispose(): void {
    this.disposed = true;
    for (const end of this.ends.splice(0).reverse()) {
      end();
    }
  }
}

/** Calls `action` once things have been quiet for `milliseconds`, at the latest after four times that. */
export function debounce(milliseconds: number, action: () => void): { call(): void; cancel(): void } {
  let timer = 0;
  let first = 0;
  const cancel = (): void => {
    window.clearTimeout(timer);
    first = 0;
  };
  const call = (): void => {
    const now = performance.now();
    first = first || now;
    window.clearTimeout(timer);
    const wait = Math.max(0, Math.min(milliseconds, first + 4 * milliseconds - now));
    timer = window.setTimeout(() => {
      first = 0;
      action();
    }, wait);
  };
  return { call, cancel };
}

/** Calls `action` at the next frame, however often it is asked; soon too where no frames are drawn. */
export function eachFrame(action: () => void): { call(): void; cancel(): void } {
  let frame = 0;
  let timer = 0;
  const run = (): void => {
    cancel();
    action();
  };
  const cancel = (): void => {
    window.cancelAnimationFrame(frame);
    window.clearTimeout(timer);
    frame = timer = 0;
  };
  const call = (): void => {
    if (!frame) {
      frame = window.requestAnimationFrame(run);
      timer = window.setTimeout(run, 200);
    }
  };
  return { call, cancel };
}

let count = 0;

/** An id that is free on this page, for labels and descriptions. */
export function freshId(): string {
  count += 1;
  return `dft-${count}-${Math.random().toString(36).slice(2, 7)}`;
}

function present(children: Child[]): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) {
      nodes.push(typeof child === 'number' ? String(child) : child);
    }
  }
  return nodes;
}
