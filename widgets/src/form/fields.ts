/** One control a hyperparameter, made from the template's schema; its faults stand beside it. */
import type { Fault, Field } from '../api';
import type { Choice } from '../combobox';
import { fill, freshId, h } from '../dom';
import { editorOf } from './editors';

export interface FieldControl {
  readonly element: HTMLElement;
  readonly field: Field;
  read(): unknown;
  write(value: unknown): void;
  setFaults(faults: readonly Fault[], changed: boolean): void;
  /** The versions that this field may name; only for a field of versions. */
  setChoices?(choices: Choice[]): void;
  focus(): void;
}

/** `onWanted` is called when a field of versions is about to be used. */
export function fieldControl(
  field: Field,
  onInput: () => void,
  onWanted: (field: Field) => void,
): FieldControl {
  const id = freshId();
  const helpId = `${id}-help`;
  const faultId = `${id}-fault`;
  const label = field.label || field.name.replace(/_/g, ' ');
  const editor = editorOf(field, id, onInput);
  const { control } = editor;
  control.setAttribute('aria-describedby', `${helpId} ${faultId}`);
  control.setAttribute('data-testid', `field-${field.name}`);
  control.addEventListener('input', onInput);
  control.addEventListener('change', onInput);
  if (editor.setChoices) {
    control.addEventListener('focus', () => onWanted(field));
  }

  const fault = h('div', {
    class: 'dft-fault',
    id: faultId,
    role: 'alert',
    hidden: true,
    'data-testid': `fault-${field.name}`,
  });
  const tooltip = [`${field.name}: ${field.help}`, rangeWords(field)].filter(Boolean).join('\n');
  const name = h('label', { class: 'dft-label', for: id, title: tooltip }, label);
  const isCode = field.type === 'text' && field.unit === 'yaml';
  const unit = field.type === 'text' ? '' : field.unit; // of a text it says what kind of text
  const body = h(
    'span',
    { class: 'dft-field-control' },
    editor.element,
    unit ? h('span', { class: 'dft-unit' }, unit) : null,
  );
  const element = h(
    'div',
    {
      class: `dft-field dft-field-${field.type}${isCode ? ' dft-field-yaml' : ''}`,
      title: isCode ? null : tooltip,
    },
    ...(field.type === 'boolean' && !field.nullable ? [body, name] : [name, body]),
    h('span', { class: 'dft-help', id: helpId }, field.help),
    fault,
  );
  return {
    element,
    field,
    read: editor.read,
    write: editor.write,
    setChoices: editor.setChoices,
    setFaults(found, changed) {
      fault.hidden = found.length === 0;
      fill(fault, ...found.map((one) => faultLine(one, field.name)));
      control.setAttribute('aria-invalid', String(found.length > 0));
      element.classList.toggle('dft-invalid', found.length > 0);
      element.classList.toggle('dft-changed', changed);
    },
    focus: () => control.focus(),
  };
}

/** A fault inside a text of several lines says where it is. */
function faultLine(fault: Fault, name: string): HTMLElement {
  return h(
    'div',
    {},
    fault.field !== name && h('code', { class: 'dft-fault-path' }, fault.field),
    fault.field !== name && ': ',
    fault.reason,
  );
}

function rangeWords(field: Field): string {
  const words: string[] = [];
  if (field.min !== null && field.max !== null) {
    words.push(`${field.min} to ${field.max}`);
  } else if (field.min !== null) {
    words.push(`at least ${field.min}`);
  } else if (field.max !== null) {
    words.push(`at most ${field.max}`);
  }
  if (field.step !== null) {
    words.push(`steps of ${field.step}`);
  }
  if (field.choices.length > 0) {
    words.push(`one of ${field.choices.join(', ')}`);
  }
  words.push(
    `default ${Array.isArray(field.default) ? field.default.join(', ') : String(field.default ?? 'none') || 'none'}`,
  );
  return words.join('; ');
}
