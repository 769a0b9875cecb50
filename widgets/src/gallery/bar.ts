/** The bar that appears with a selection: concepts, datasets, metadata, delete. */
import type { Concept, Dataset, Input } from '../api';
import { checkId, combobox } from '../combobox';
import { button, textInput } from '../controls';
import { fill, h } from '../dom';
import { number, plural } from '../format';
import { parseMetadata } from '../metadata';
import type { LabelAction } from './edits';

export interface BarActions {
  label(concept: string, action: LabelAction): void;
  dataset(dataset: string, put: boolean): void;
  metadata(changes: Record<string, unknown>): void;
  remove(): void;
  clear(): void;
  open(): void;
}

export interface SelectionBar {
  readonly element: HTMLElement;
  update(selected: Input[], count: number): void;
  setChoices(concepts: Concept[], datasets: Dataset[]): void;
}

export function selectionBar(actions: BarActions): SelectionBar {
  const count = h('b', { class: 'dft-selected', role: 'status', 'data-testid': 'selected-count' });
  const add = combobox({
    label: 'Add a concept to the selected inputs',
    placeholder: 'Add concept',
    create: true,
    testid: 'bar-add-concept',
    onPick: (name) => actions.label(name, 'positive'),
  });
  const takeOff = combobox({
    label: 'Take a concept off the selected inputs',
    placeholder: 'Take off',
    testid: 'bar-remove-concept',
    onPick: (name) => actions.label(name, 'remove'),
  });
  const into = combobox({
    label: 'Put the selected inputs into a dataset',
    placeholder: 'Add to dataset',
    create: true,
    check: checkId,
    testid: 'bar-add-dataset',
    onPick: (name) => actions.dataset(name, true),
  });
  const outOf = combobox({
    label: 'Take the selected inputs out of a dataset',
    placeholder: 'Out of dataset',
    testid: 'bar-remove-dataset',
    onPick: (name) => actions.dataset(name, false),
  });
  const metadata = textInput({
    class: 'dft-input dft-code',
    placeholder: '{"camera": "left"}',
    'aria-label': 'Metadata to merge into the selected inputs: a JSON object, null takes a key away',
    'data-testid': 'bar-metadata',
  });
  const fault = h('span', { class: 'dft-fault', role: 'alert' });
  const applyMetadata = (): void => {
    const { value, reason } = parseMetadata(metadata.value);
    fill(fault, reason);
    if (value && Object.keys(value).length > 0) {
      metadata.value = '';
      metadataRow.hidden = true;
      actions.metadata(value);
    }
  };
  metadata.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      applyMetadata();
    }
  });
  const metadataRow = h(
    'div',
    { class: 'dft-row dft-wrap', hidden: true },
    metadata,
    button({ label: 'Set', testid: 'bar-metadata-set', onClick: applyMetadata }),
    fault,
  );
  const element = h(
    'div',
    {
      class: 'dft-bar-of-selection',
      role: 'toolbar',
      'aria-label': 'Selected inputs',
      hidden: true,
      'data-testid': 'selection-bar',
    },
    h(
      'div',
      { class: 'dft-row dft-wrap' },
      count,
      add.element,
      takeOff.element,
      into.element,
      outOf.element,
      button({
        label: 'Metadata',
        icon: 'code',
        testid: 'bar-metadata-open',
        title: 'Metadata',
        onClick: () => {
          metadataRow.hidden = !metadataRow.hidden;
          metadata.focus();
        },
      }),
      button({
        label: 'Details',
        icon: 'image',
        title: 'Details (Enter)',
        testid: 'bar-details',
        onClick: actions.open,
      }),
      button({
        label: 'Delete',
        icon: 'bin',
        title: 'Delete (can be undone)',
        testid: 'bar-delete',
        onClick: actions.remove,
      }),
      button({ label: 'Clear the selection', icon: 'close', bare: true, onClick: actions.clear }),
    ),
    metadataRow,
  );
  return {
    element,
    update(selected, total) {
      element.hidden = total === 0;
      count.textContent = `${number(total)} selected`;
      const concepts = new Map<string, number>();
      const datasets = new Map<string, number>();
      for (const input of selected) {
        input.labels.forEach(({ concept }) => concepts.set(concept, (concepts.get(concept) ?? 0) + 1));
        input.datasets.forEach((dataset) => datasets.set(dataset, (datasets.get(dataset) ?? 0) + 1));
      }
      const choices = (names: Map<string, number>): { value: string; hint: string }[] =>
        [...names].map(([value, members]) => ({ value, hint: plural(members, 'input') }));
      takeOff.setChoices(choices(concepts));
      takeOff.input.disabled = concepts.size === 0;
      outOf.setChoices(choices(datasets));
      outOf.input.disabled = datasets.size === 0;
    },
    setChoices(concepts, datasets) {
      add.setChoices(concepts.map((c) => ({ value: c.name, hint: plural(c.positives, 'input') })));
      into.setChoices(datasets.map((d) => ({ value: d.id, hint: plural(d.inputs, 'input') })));
    },
  };
}
