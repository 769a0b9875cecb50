/** Buttons, fields, states and errors that all parts share. */
import { ApiError } from './client';
import { fill, h } from './dom';
import type { Attributes, Child } from './dom';
import { icon } from './icons';
import type { IconName } from './icons';

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
