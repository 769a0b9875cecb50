/** The filter bar: concept, dataset, unlabelled, metadata; and how many inputs match. */
import type { Concept, Dataset, InputQuery } from '../api';
import { tokenField } from '../combobox';
import { button, textInput } from '../controls';
import { debounce, h } from '../dom';
import { plural } from '../format';
import { parsePair } from '../metadata';

export interface Filters {
  readonly element: HTMLElement;
  setChoices(concepts: Concept[], datasets: Dataset[]): void;
  setCount(text: string): void;
  readonly active: boolean;
  clear(): void;
}

export function filterBar(onChange: (query: InputQuery) => void): Filters {
  const concept = tokenField({
    label: 'Concept',
    placeholder: 'Concept',
    single: true,
    testid: 'filter-concept',
    onChange: apply,
  });
  const dataset = tokenField({
    label: 'Dataset',
    placeholder: 'Dataset',
    single: true,
    testid: 'filter-dataset',
    onChange: apply,
  });
  const unlabelled = h('input', { type: 'checkbox', 'data-testid': 'filter-unlabelled' });
  const metadata = textInput({
    type: 'search',
    placeholder: 'metadata: key=value',
    'aria-label': 'Metadata, as key=value',
    title: 'Inputs whose metadata has this value, such as camera=left',
    'data-testid': 'filter-metadata',
  });
  const count = h('span', { class: 'dft-help dft-count', role: 'status', 'data-testid': 'gallery-count' });
  const clearButton = button({
    label: 'Clear',
    icon: 'close',
    title: 'Show all inputs',
    testid: 'filter-clear',
    onClick: clear,
  });
  clearButton.hidden = true;
  const quiet = debounce(250, apply);
  unlabelled.addEventListener('change', apply);
  metadata.addEventListener('input', quiet.call);

  function query(): InputQuery {
    const pair = parsePair(metadata.value.trim());
    metadata.setAttribute('aria-invalid', String(metadata.value.trim() !== '' && pair === null));
    return {
      concept: concept.values[0] ?? null,
      dataset: dataset.values[0] ?? null,
      unlabelled: unlabelled.checked,
      metadata: pair ? JSON.stringify({ [pair.key]: pair.value }) : null,
    };
  }

  function isActive(): boolean {
    const { concept: name, dataset: set, unlabelled: without, metadata: text } = query();
    return Boolean(name || set || without || text);
  }

  function apply(): void {
    clearButton.hidden = !isActive();
    onChange(query());
  }

  function clear(): void {
    concept.set([]);
    dataset.set([]);
    unlabelled.checked = false;
    metadata.value = '';
    apply();
  }

  return {
    element: h(
      'div',
      { class: 'dft-filters', role: 'search', 'aria-label': 'Filter inputs' },
      concept.element,
      dataset.element,
      metadata,
      h(
        'label',
        { class: 'dft-check', title: 'Inputs without any concept' },
        unlabelled,
        h('span', {}, 'Unlabelled'),
      ),
      clearButton,
      count,
    ),
    setChoices(concepts, datasets) {
      concept.setChoices(concepts.map((c) => ({ value: c.name, hint: plural(c.positives, 'input') })));
      dataset.setChoices(datasets.map((d) => ({ value: d.id, hint: plural(d.inputs, 'input') })));
    },
    setCount(text) {
      count.textContent = text;
    },
    get active() {
      return isActive();
    },
    clear,
  };
}
