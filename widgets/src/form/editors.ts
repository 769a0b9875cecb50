/** The controls of hyperparameters by their type: each reads and writes the value as it travels. */
import type { Field } from '../api';
import { tokenField } from '../combobox';
import type { Choice } from '../combobox';
import { select, textInput } from '../controls';
import { h } from '../dom';

export interface Editor {
  /** What stands in the form. */
  readonly element: HTMLElement;
  /** What takes the focus. */
  readonly control: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
  read(): unknown;
  write(value: unknown): void;
  /** For a field that names versions. */
  setChoices?(choices: Choice[]): void;
}

const FEWEST_LINES = 8;
const MOST_LINES = 28;

/** `onInput` is called for what no event of the control tells. */
export function editorOf(field: Field, id: string, onInput: () => void): Editor {
  switch (field.type) {
    case 'boolean':
      return field.nullable ? choiceEditor(field, id, ['true', 'false']) : checkbox(id);
    case 'choice':
      return choiceEditor(field, id, field.choices);
    case 'integers':
    case 'numbers':
      return listEditor(field, id);
    case 'text':
      if (field.unit === 'yaml') {
        return yamlEditor(id);
      }
      return field.unit === 'version' ? versionEditor(field, id, onInput) : textEditor(field, id);
    default:
      return numberEditor(field, id);
  }
}

function checkbox(id: string): Editor {
  const control = h('input', { type: 'checkbox', id });
  return {
    element: control,
    control,
    read: () => control.checked,
    write: (value) => (control.checked = value === true),
  };
}

function choiceEditor(field: Field, id: string, choices: string[]): Editor {
  const none: [string, string][] = field.nullable ? [['', '(none)']] : [];
  const control = select([...none, ...choices.map((choice): [string, string] => [choice, choice])], { id });
  const read = (): unknown => {
    if (control.value === '' && field.nullable) {
      return null;
    }
    return field.type === 'boolean' ? control.value === 'true' : control.value;
  };
  const write = (value: unknown): void => void (control.value = value === null ? '' : String(value));
  return { element: control, control, read, write };
}

function textEditor(field: Field, id: string): Editor {
  const control = textInput({ id, placeholder: field.nullable ? '(none)' : null });
  const read = (): unknown => (control.value === '' && field.nullable ? null : control.value);
  return { element: control, control, read, write: (value) => (control.value = textOf(value)) };
}

/** A text field that steps with the arrow keys: a browser's own number field swallows what it cannot read. */
function numberEditor(field: Field, id: string): Editor {
  const control = textInput({
    id,
    inputmode: field.type === 'integer' ? 'numeric' : 'decimal',
    placeholder: field.nullable ? '(none)' : null,
    class: 'dft-input dft-number',
  });
  control.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      const step = field.step ?? (field.type === 'integer' ? 1 : Math.abs(Number(control.value) || 1) / 10);
      const value = Number(control.value) + (event.key === 'ArrowUp' ? step : -step);
      const bounded = Math.max(field.min ?? -Infinity, Math.min(field.max ?? Infinity, value));
      if (Number.isFinite(bounded)) {
        control.value = String(Number(bounded.toPrecision(10)));
        control.dispatchEvent(new InputEvent('input', { bubbles: true }));
      }
    }
  });
  return {
    element: control,
    control,
    read: () => numeric(control.value),
    write: (value) => (control.value = textOf(value)),
  };
}

/** Numbers beside each other: "512, 512". */
function listEditor(field: Field, id: string): Editor {
  const example =
    Array.isArray(field.default) && field.default.length > 0 ? field.default.join(', ') : '1, 2, 3';
  const control = textInput({ id, placeholder: field.nullable ? '(none)' : example });
  const read = (): unknown => {
    const text = control.value.replace(/^\s*[[(]|[\])]\s*$/g, '').trim();
    if (text === '') {
      return field.nullable ? null : [];
    }
    return text.split(/\s*[,;]\s*|\s+/).map(numeric);
  };
  return {
    element: control,
    control,
    read,
    write: (value) => (control.value = Array.isArray(value) ? value.join(', ') : textOf(value)),
  };
}

/** Several lines of YAML; Enter keeps the indentation. */
function yamlEditor(id: string): Editor {
  const control = h('textarea', {
    id,
    class: 'dft-input dft-code dft-yaml',
    spellcheck: 'false',
    autocomplete: 'off',
    wrap: 'off',
    rows: FEWEST_LINES,
  });
  control.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey && !event.isComposing) {
      const { selectionStart: start, selectionEnd: end, value } = control;
      const line = value.slice(value.lastIndexOf('\n', start - 1) + 1, start);
      const indent = /^\s*/.exec(line)?.[0] ?? '';
      event.preventDefault();
      control.setRangeText(`\n${indent}`, start, end, 'end');
      control.dispatchEvent(new InputEvent('input', { bubbles: true }));
    }
  });
  return {
    element: control,
    control,
    read: () => control.value,
    write(value) {
      control.value = textOf(value);
      const lines = control.value.split('\n').length + 1;
      control.rows = Math.max(FEWEST_LINES, Math.min(MOST_LINES, lines));
    },
  };
}

/** A trained version, such as my-model/v3; another one may be typed. */
function versionEditor(field: Field, id: string, onInput: () => void): Editor {
  const tokens = tokenField({
    label: field.label || field.name,
    placeholder: '(none)',
    single: true,
    create: true,
    onChange: onInput,
  });
  tokens.input.id = id;
  return {
    element: tokens.element,
    control: tokens.input,
    read: () => tokens.values[0] ?? (field.nullable ? null : ''),
    write: (value) => tokens.set(textOf(value) === '' ? [] : [textOf(value)]),
    setChoices: tokens.setChoices,
  };
}

/** The number that a text holds; null for none; the text itself where it is no number, for the checker to refuse. */
function numeric(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === '') {
    return null;
  }
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
}

function textOf(value: unknown): string {
  return value === null || value === undefined ? '' : String(value);
}
