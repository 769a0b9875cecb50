/** What a model is called, what it is for, and the concepts that it tells apart. */
import { checkId, tokenField } from '../combobox';
import type { Choice } from '../combobox';
import { labelled, textInput } from '../controls';
import { h } from '../dom';

export interface Identity {
  readonly element: HTMLElement;
  readonly id: string;
  description: string;
  /** null: all the app's concepts. */
  concepts: string[] | null;
  setConceptChoices(choices: Choice[]): void;
  /** The model exists: its id stays as it is. */
  fix(id: string): void;
  /** Looks at the id of a model that is to be created; false: a fault is shown, and the field has the focus. */
  check(): boolean;
  showFault(text: string): void;
}

export function identity(onChange: () => void): Identity {
  const id = textInput({ placeholder: 'ant-or-bee', 'data-testid': 'model-id', maxlength: 64 });
  const fault = h('span', { class: 'dft-fault', role: 'alert', hidden: true, 'data-testid': 'fault-id' });
  const idField = labelled('Model id', id, { title: '1 to 64 letters, digits, “-” or “_”' });
  idField.append(fault);
  const description = textInput({ placeholder: 'What is it for?', 'data-testid': 'model-description' });
  const concepts = tokenField({
    label: 'Concepts',
    placeholder: 'All concepts of the app',
    testid: 'model-concepts',
    onChange,
  });
  const element = h(
    'section',
    { class: 'dft-settings dft-identity', 'aria-label': 'Model' },
    idField,
    labelled('Description', description),
    labelled('Concepts', concepts.element, {
      title: 'What the model tells apart; empty: all concepts of the app when training starts',
    }),
  );

  const mark = (text: string): void => {
    fault.hidden = text === '';
    fault.textContent = text;
    id.setAttribute('aria-invalid', String(text !== ''));
  };
  id.addEventListener('input', () => {
    mark('');
    onChange();
  });
  description.addEventListener('input', onChange);

  return {
    element,
    get id() {
      return id.value.trim();
    },
    get description() {
      return description.value;
    },
    set description(text) {
      description.value = text;
    },
    get concepts() {
      return concepts.values.length > 0 ? concepts.values : null;
    },
    set concepts(names) {
      concepts.set(names ?? []);
    },
    setConceptChoices: concepts.setChoices,
    fix(given) {
      id.value = given;
      id.readOnly = true;
    },
    check() {
      const wrong = checkId(id.value.trim());
      if (wrong) {
        mark(id.value.trim() ? wrong : `A model needs an id: ${wrong}`);
        id.focus();
      }
      return !wrong;
    },
    showFault(text) {
      mark(text);
      id.focus();
    },
  };
}
