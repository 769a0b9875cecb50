/** Buttons, icons, states and messages that all parts share. */
import { ApiError } from './client';
import type { Context, NoticeKind, Question, Answer } from './context';
import { fill, h } from './dom';
import type { Attributes, Child } from './dom';

/** Paths in a field of 16 x 16. */
const ICONS = {
  add: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  upload: 'M8 11V3M4.5 6.5L8 3l3.5 3.5M3 13h10',
  folder: 'M2 4.5h4l1.5 1.5H14v7H2z',
  image: 'M2.5 3h11v10h-11zM2.5 11l3.5-4 3 3 2-2 2.5 3',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  undo: 'M3 7h6.5a3.5 3.5 0 010 7H6M6 4L3 7l3 3',
  previous: 'M10 3L5 8l5 5',
  next: 'M6 3l5 5-5 5',
  code: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5',
  stop: 'M4 4h8v8H4z',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.5M8 12v.1',
  minus: 'M3 8h10',
  bin: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9',
  play: 'M5 3l8 5-8 5z',
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'dft-icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

export interface ButtonOptions {
  label: string;
  icon?: IconName;
  /** Shows the icon alone; the label becomes tooltip and name. */
  bare?: boolean;
  kind?: 'primary' | 'danger';
  title?: string;
  testid?: string;
  onClick(event: MouseEvent): void | Promise<void>;
}

/** A button. While the promise of its click is open it is busy and cannot be clicked again. */
export function button(options: ButtonOptions): HTMLButtonElement {
  const classes = ['dft-button', options.kind ? `dft-${options.kind}` : '', options.bare ? 'dft-bare' : ''];
  const element = h(
    'button',
    {
      type: 'button',
      class: classes.filter(Boolean).join(' '),
      title: options.title ?? (options.bare ? options.label : null),
      'aria-label': options.bare ? options.label : null,
      'data-testid': options.testid,
    },
    options.icon && icon(options.icon),
    !options.bare && h('span', {}, options.label),
  );
  element.addEventListener('click', (event) => {
    const work = options.onClick(event);
    if (work instanceof Promise) {
      element.disabled = true;
      element.classList.add('dft-busy');
      void work.finally(() => {
        element.disabled = false;
        element.classList.remove('dft-busy');
      });
    }
  });
  return element;
}

/** A button that copies text and says so. */
export function copyButton(
  text: () => string | Promise<string>,
  label = 'Copy',
  testid?: string,
): HTMLButtonElement {
  const element = button({
    label,
    icon: 'copy',
    testid,
    title: 'Copy to the clipboard',
    onClick: async () => {
      await copy(await text());
      const caption = element.querySelector('span');
      if (caption) {
        caption.textContent = 'Copied';
        window.setTimeout(() => (caption.textContent = label), 1500);
      }
    },
  });
  return element;
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page without the right to the clipboard (plain HTTP on a host name) still has the old way.
    const area = h('textarea', { class: 'dft-offscreen' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

/** A progress bar with its name for screen readers. */
export function progressBar(
  label: string,
  testid?: string,
): { element: HTMLElement; set(fraction: number | null): void } {
  const fillElement = h('div', { class: 'dft-progress-fill' });
  const element = h(
    'div',
    {
      class: 'dft-progress',
      role: 'progressbar',
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'data-testid': testid,
    },
    fillElement,
  );
  const set = (fraction: number | null): void => {
    const value = Math.min(1, Math.max(0, fraction ?? 0)) * 100;
    element.classList.toggle('dft-indeterminate', fraction === null);
    fillElement.style.width = `${value}%`;
    if (fraction === null) {
      element.removeAttribute('aria-valuenow');
    } else {
      element.setAttribute('aria-valuenow', String(Math.floor(value)));
    }
  };
  set(0);
  return { element, set };
}

export function loading(text = 'Loading …'): HTMLElement {
  return h('div', { class: 'dft-state', role: 'status' }, h('span', { class: 'dft-spinner' }), text);
}

export function empty(text: string, ...children: Child[]): HTMLElement {
  return h('div', { class: 'dft-state' }, h('span', {}, text), ...children);
}

/** What went wrong, in the server's words, with a way to try again and the details to copy. */
export function failure(error: unknown, again?: () => void): HTMLElement {
  return h(
    'div',
    { class: 'dft-failure', role: 'alert', 'data-testid': 'error' },
    icon('warning'),
    h('div', { class: 'dft-failure-text' }, ...explain(error)),
    h(
      'div',
      { class: 'dft-row' },
      again && button({ label: 'Try again', onClick: again }),
      copyButton(() => describe(error)),
    ),
  );
}

function explain(error: unknown): Child[] {
  const faults = error instanceof ApiError ? error.faults : [];
  return [
    h('div', {}, messageOf(error)),
    faults.length > 0 &&
      h(
        'ul',
        {},
        ...faults.map((fault) => h('li', {}, fault.field ? `${fault.field}: ${fault.reason}` : fault.reason)),
      ),
  ];
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** All that is known of an error, as text to copy into a report. */
export function describe(error: unknown): string {
  if (error instanceof ApiError) {
    const faults = error.faults.map(
      (fault) => `  ${fault.field} = ${JSON.stringify(fault.value)}: ${fault.reason}`,
    );
    return [`${error.code} (${error.status}): ${error.message}`, ...faults].join('\n');
  }
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
}

/** A label above its control, with help below and a place for a fault. */
export function labelled(
  label: string,
  control: HTMLElement,
  options: { help?: string; title?: string } = {},
): HTMLElement {
  return h(
    'label',
    { class: 'dft-labelled', title: options.title },
    h('span', { class: 'dft-label' }, label),
    control,
    options.help ? h('span', { class: 'dft-help' }, options.help) : null,
  );
}

export function textInput(attributes: Attributes = {}): HTMLInputElement {
  return h('input', {
    type: 'text',
    class: 'dft-input',
    spellcheck: 'false',
    autocomplete: 'off',
    ...attributes,
  });
}

export function select(
  options: [value: string, text: string][],
  attributes: Attributes = {},
): HTMLSelectElement {
  const element = h('select', { class: 'dft-input dft-select', ...attributes });
  setOptions(element, options);
  return element;
}

/** New options for a select; what was chosen stays chosen where it can. */
export function setOptions(element: HTMLSelectElement, options: [value: string, text: string][]): void {
  const chosen = element.value;
  fill(element, ...options.map(([value, text]) => h('option', { value }, text)));
  if (options.some(([value]) => value === chosen)) {
    element.value = chosen;
  }
}

/** Tells the person something: by the page's own means, or by a line at the foot of the part. */
export function notify(
  context: Context,
  host: HTMLElement,
  message: string,
  kind: NoticeKind = 'info',
): void {
  if (context.notify) {
    context.notify(message, kind);
    return;
  }
  const toast = h(
    'div',
    { class: `dft-toast dft-toast-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
    message,
  );
  toast.append(button({ label: 'Dismiss', icon: 'close', bare: true, onClick: () => toast.remove() }));
  host.append(toast);
  window.setTimeout(() => toast.remove(), kind === 'error' ? 15_000 : 6_000);
}

/** Asks: by the page's own dialog, or by one of ours. */
export function ask(context: Context, host: HTMLElement, question: Question): Promise<Answer> {
  if (context.confirm) {
    return context.confirm(question);
  }
  return new Promise((resolve) => {
    const close = (answer: Answer): void => {
      dialog.remove();
      resolve(answer);
    };
    const accept = button({
      label: question.accept,
      kind: question.danger ? 'danger' : 'primary',
      testid: 'confirm-accept',
      onClick: () => close('accept'),
    });
    const cancel = button({
      label: question.danger ? 'Keep it' : 'Cancel',
      testid: 'confirm-cancel',
      onClick: () => close('cancel'),
    });
    const dialog = h(
      'dialog',
      { class: 'dft-dialog', 'aria-label': question.title, 'data-testid': 'confirm' },
      h('h2', {}, question.title),
      h('p', {}, question.body),
      h(
        'div',
        { class: 'dft-row dft-end' },
        cancel,
        question.alternative
          ? button({
              label: question.alternative,
              testid: 'confirm-alternative',
              onClick: () => close('alternative'),
            })
          : null,
        accept,
      ),
    );
    dialog.addEventListener('cancel', () => close('cancel'));
    dialog.addEventListener('keydown', (event) => event.stopPropagation());
    host.append(dialog);
    dialog.showModal();
    // what cannot be undone is never the answer to a bare Enter
    (question.danger ? cancel : accept).focus();
  });
}
