/**
 * Choosing names, or creating them as one types: a combobox, and a field of tokens made of it.
 *
 * Keyboard: arrows choose, Enter takes, Escape closes, Backspace in an empty field takes the last token away.
 */
import { button } from './controls';
import { fill, freshId, h } from './dom';

export interface Choice {
  value: string;
  hint?: string;
}

export interface ComboboxOptions {
  label: string;
  placeholder?: string;
  /** Offers what was typed as a new name. */
  create?: boolean;
  testid?: string;
  /** What is wrong with a new name; empty: nothing. */
  check?(name: string): string;
  onPick(value: string): void;
  /** Backspace in an empty field. */
  onBack?(): void;
}

export interface Combobox {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  setChoices(choices: Choice[]): void;
}

const SHOWN = 50;

export function combobox(options: ComboboxOptions): Combobox {
  const listId = freshId();
  let choices: Choice[] = [];
  let offered: { value: string; isNew: boolean; hint?: string }[] = [];
  let active = 0;
  let wanted = false; // the list is asked for, even while there is nothing to offer yet

  const input = h('input', {
    type: 'text',
    class: 'dft-combobox-input',
    role: 'combobox',
    'aria-label': options.label,
    'aria-expanded': 'false',
    'aria-controls': listId,
    'aria-autocomplete': 'list',
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: options.placeholder,
    'data-testid': options.testid,
  });
  const list = h('div', {
    class: 'dft-listbox',
    role: 'listbox',
    id: listId,
    'aria-label': options.label,
    hidden: true,
  });
  const element = h('div', { class: 'dft-combobox' }, input, list);

  const close = (): void => {
    wanted = false;
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  };

  const pick = (value: string): void => {
    input.value = '';
    input.setCustomValidity('');
    close();
    options.onPick(value);
  };

  const draw = (): void => {
    wanted = true;
    const typed = input.value.trim();
    const lower = typed.toLocaleLowerCase();
    const matching = choices.filter((choice) => choice.value.toLocaleLowerCase().includes(lower));
    matching.sort((a, b) => rank(a.value, lower) - rank(b.value, lower));
    offered = matching.slice(0, SHOWN).map((choice) => ({ ...choice, isNew: false }));
    const known = choices.some((choice) => choice.value === typed);
    const wrong = typed && !known ? (options.check?.(typed) ?? '') : '';
    if (options.create && typed && !known && !wrong) {
      offered.push({ value: typed, isNew: true });
    }
    active = Math.min(active, Math.max(0, offered.length - 1));
    fill(
      list,
      ...offered.map((offer, index) => {
        const item = h(
          'div',
          {
            class: 'dft-option',
            role: 'option',
            id: `${listId}-${index}`,
            'aria-selected': String(index === active),
          },
          h('span', { class: 'dft-option-name' }, offer.isNew ? `Create “${offer.value}”` : offer.value),
          offer.hint ? h('span', { class: 'dft-hint' }, offer.hint) : null,
        );
        // mousedown, so that the field keeps the focus
        item.addEventListener('mousedown', (event) => {
          event.preventDefault();
          pick(offer.value);
        });
        return item;
      }),
      wrong ? h('div', { class: 'dft-option dft-fault', role: 'alert' }, wrong) : null,
    );
    list.hidden = list.childElementCount === 0;
    input.setAttribute('aria-expanded', String(!list.hidden));
    if (offered.length > 0 && !list.hidden) {
      input.setAttribute('aria-activedescendant', `${listId}-${active}`);
      list.children[active]?.scrollIntoView({ block: 'nearest' });
    }
  };

  input.addEventListener('input', () => {
    active = 0;
    draw();
  });
  input.addEventListener('focus', draw);
  input.addEventListener('click', draw);
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const step = event.key === 'ArrowDown' ? 1 : -1;
      active = list.hidden ? 0 : (active + step + offered.length) % Math.max(1, offered.length);
      draw();
    } else if (event.key === 'Enter' || (event.key === ',' && input.value.trim())) {
      event.preventDefault();
      const exact = offered.find((offer) => offer.value === input.value.trim());
      const chosen = exact ?? offered[active];
      if (chosen && !list.hidden) {
        pick(chosen.value);
      }
    } else if (event.key === 'Escape' && !list.hidden) {
      event.stopPropagation(); // what is around the field has an Escape of its own
      close();
    } else if (event.key === 'Backspace' && input.value === '') {
      options.onBack?.();
    }
  });

  return {
    element,
    input,
    setChoices(next) {
      choices = next;
      if (wanted) {
        draw();
      }
    },
  };
}

export interface TokenField {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  readonly values: string[];
  set(values: string[]): void;
  setChoices(choices: Choice[]): void;
  setDisabled(disabled: boolean): void;
}

export interface TokenFieldOptions {
  label: string;
  placeholder?: string;
  create?: boolean;
  /** One value at most. */
  single?: boolean;
  testid?: string;
  check?(name: string): string;
  onChange?(values: string[]): void;
}

/** A field that holds names as tokens. */
export function tokenField(options: TokenFieldOptions): TokenField {
  let values: string[] = [];
  let choices: Choice[] = [];
  const box = combobox({
    ...options,
    onPick: (value) =>
      change(options.single ? [value] : [...values.filter((other) => other !== value), value]),
    onBack: () => values.length > 0 && change(values.slice(0, -1)),
  });
  const tokens = h('span', { class: 'dft-tokens' });
  const element = h('div', { class: 'dft-input dft-token-field' }, tokens, box.element);
  element.addEventListener('click', (event) => {
    if (event.target === element || event.target === tokens) {
      box.input.focus();
    }
  });

  function change(next: string[]): void {
    values = next;
    draw();
    options.onChange?.(values);
  }

  function draw(): void {
    fill(
      tokens,
      ...values.map((value) => token(value, () => change(values.filter((other) => other !== value)))),
    );
    box.input.placeholder = values.length > 0 ? '' : (options.placeholder ?? '');
    box.setChoices(choices.filter((choice) => !values.includes(choice.value)));
  }

  return {
    element,
    input: box.input,
    get values() {
      const typed = box.input.value.trim();
      const wanted = typed && !values.includes(typed) && !(options.check?.(typed) ?? '');
      const counts = wanted && (options.create || choices.some((choice) => choice.value === typed));
      // a name that was typed but not confirmed counts: nobody expects it to be dropped
      return counts ? (options.single ? [typed] : [...values, typed]) : values;
    },
    set(next) {
      values = next;
      draw();
    },
    setChoices(next) {
      choices = next;
      draw();
    },
    setDisabled(disabled) {
      box.input.disabled = disabled;
      element.classList.toggle('dft-disabled', disabled);
    },
  };
}

function token(value: string, remove: () => void): HTMLElement {
  return h(
    'span',
    { class: 'dft-chip' },
    h('bdi', { class: 'dft-chip-text' }, value),
    button({ label: `Take ${value} out`, icon: 'close', bare: true, onClick: remove }),
  );
}

function rank(value: string, typed: string): number {
  const lower = value.toLocaleLowerCase();
  return lower === typed ? 0 : lower.startsWith(typed) ? 1 : 2;
}

/** Ids of apps, datasets and models. */
export function checkId(id: string): string {
  return /^[A-Za-z0-9_-]{1,64}$/.test(id) ? '' : '1 to 64 letters, digits, “-” or “_”.';
}
