/** One control a hyperparameter, made from the template's schema; a fault stands beside its field. */
import type { Fault, Field } from '../api';
import { select, textInput } from '../controls';
import { fill, freshId, h } from '../dom';

export interface FieldControl {
  readonly element: HTMLElement;
  readonly field: Field;
  read(): unknown;
  write(value: unknown): void;
  setFault(fault: Fault | undefined, changed: boolean): void;
}

export function fieldControl(field: Field, onInput: () => void): FieldControl {
  const id = freshId();
  const helpId = `${id}-help`;
  const faultId = `${id}-fault`;
  const label = field.label || field.name.replace(/_/g, ' ');
  const editor = editorOf(field, id);
  editor.control.setAttribute('aria-describedby', `${helpId} ${faultId}`);
  editor.control.setAttribute('data-testid', `field-${field.name}`);
  editor.control.addEventListener('input', onInput);
  editor.control.addEventListener('change', onInput);

  const fault = h('span', {
    class: 'dft-fault',
    id: faultId,
    role: 'alert',
    hidden: true,
    'data-testid': `fault-${field.name}`,
  });
  const tooltip = [`${field.name}: ${field.help}`, rangeWords(field)].filter(Boolean).join('\n');
  const name = h('label', { class: 'dft-label', for: id, title: tooltip }, label);
  const control = h(
    'span',
    { class: 'dft-field-control' },
    editor.control,
    field.unit ? h('span', { class: 'dft-unit' }, field.unit) : null,
  );
  const element = h(
    'div',
    { class: `dft-field dft-field-${field.type}`, title: tooltip },
    ...(field.type === 'boolean' && !field.nullable ? [control, name] : [name, control]),
    h('span', { class: 'dft-help', id: helpId }, field.help),
    fault,
  );
  return {
    element,
    field,
    read: editor.read,
    write: editor.write,
    setFault(found, changed) {
      fault.hidden = !found;
      fill(fault, found?.reason ?? '');
      editor.control.setAttribute('aria-invalid', String(Boolean(found)));
      element.classList.toggle('dft-invalid', Boolean(found));
      element.classList.toggle('dft-changed', changed);
    },
  };
}

interface Editor {
  control: HTMLInputElement | HTMLSelectElement;
  read(): unknown;
  write(value: unknown): void;
}

function editorOf(field: Field, id: string): Editor {
  switch (field.type) {
    case 'boolean':
      return field.nullable ? choiceEditor(field, id, ['true', 'false']) : checkbox(id);
    case 'choice':
      return choiceEditor(field, id, field.choices);
    case 'integers':
    case 'numbers':
      return listEditor(id);
    case 'text':
      return textEditor(field, id);
    default:
      return numberEditor(field, id);
  }
}

function checkbox(id: string): Editor {
  const control = h('input', { type: 'checkbox', id });
  return { control, read: () => control.checked, write: (value) => (control.checked = value === true) };
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
  return { control, read, write: (value) => (control.value = value === null ? '' : String(value)) };
}

function textEditor(field: Field, id: string): Editor {
  const control = textInput({ id, placeholder: field.nullable ? '(none)' : null });
  const read = (): unknown => (control.value === '' && field.nullable ? null : control.value);
  return {
    control,
    read,
    write: (value) => (control.value = value === null || value === undefined ? '' : String(value)),
  };
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
    control,
    read: () => numeric(control.value),
    write: (value) => (control.value = value === null || value === undefined ? '' : String(value)),
  };
}

function listEditor(id: string): Editor {
  const control = textInput({ id, placeholder: '1, 2, 3' });
  const read = (): unknown => {
    const text = control.value.replace(/^\s*\[|\]\s*$/g, '').trim();
    return text === '' ? [] : text.split(/[,;\s]+/).map(numeric);
  };
  return { control, read, write: (value) => (control.value = Array.isArray(value) ? value.join(', ') : '') };
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
    `default ${Array.isArray(field.default) ? field.default.join(', ') : String(field.default ?? 'none')}`,
  );
  return words.join('; ');
}
