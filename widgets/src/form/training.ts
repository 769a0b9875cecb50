/** What to train on: a dataset, and what validates. */
import type { App, Dataset, Template, Train } from '../api';
import { labelled, select, setOptions, textInput } from '../controls';
import { fill, h } from '../dom';
import { plural } from '../format';

export interface TrainingChoice {
  readonly element: HTMLElement;
  /** The request's body, or null where the fraction is wrong (it then says so). */
  read(): Train | null;
  /** The same without a word; where the fraction is wrong, without it. */
  peek(): Pick<Train, 'dataset' | 'validation'>;
  /** How many inputs will train, as far as is known. */
  readonly examples: number | null;
  setDatasets(app: App, datasets: Dataset[]): void;
  /** Says what validation is for with this template: the metric by which a checkpoint is kept. */
  setTemplate(template: Template): void;
}

const DEFAULT_FRACTION = 0.2; // where the template decides; only to estimate steps
const LARGEST_FRACTION = 0.9;

export function trainingChoice(onChange: () => void): TrainingChoice {
  let app: App | null = null;
  let datasets: Dataset[] = [];
  let wanted = ''; // how many images the template asks for, in its words
  const dataset = select([['', 'All inputs with the model’s concepts']], { 'data-testid': 'train-dataset' });
  const validation = select([], { 'data-testid': 'train-validation' });
  const fraction = textInput({
    value: '0.2',
    inputmode: 'decimal',
    class: 'dft-input dft-number',
    'aria-label': 'Fraction held out',
    'data-testid': 'train-fraction',
  });
  const fault = h('span', { class: 'dft-fault', role: 'alert', hidden: true });
  const note = h('p', { class: 'dft-help' });
  const kept = h('p', { class: 'dft-help', 'data-testid': 'train-kept' });
  const fractionRow = h(
    'span',
    { class: 'dft-row' },
    fraction,
    h('span', { class: 'dft-unit' }, 'of the inputs held out'),
    fault,
  );
  const element = h(
    'div',
    { class: 'dft-settings' },
    h(
      'div',
      {},
      labelled('Dataset', dataset, {
        title: 'What the version trains on; it is frozen when training starts',
      }),
      note,
    ),
    h(
      'div',
      {},
      labelled('Validation', validation, { title: 'What chooses the best checkpoint; never trained on' }),
      fractionRow,
      kept,
    ),
  );

  const refresh = (): void => {
    setOptions(dataset, [
      ['', 'All inputs with the model’s concepts'],
      ...datasets.map((d): [string, string] => [d.id, `${d.id} (${plural(d.inputs, 'input')})`]),
    ]);
    setOptions(validation, [
      ['', 'As the template says'],
      ['fraction', 'Hold a fraction out'],
      ...datasets
        .filter((d) => d.id !== dataset.value)
        .map((d): [string, string] => [`dataset:${d.id}`, `${d.id} (${plural(d.inputs, 'input')})`]),
    ]);
    fractionRow.hidden = validation.value !== 'fraction';
    const known = examples();
    fill(
      note,
      known !== null && known < 1000 && wanted
        ? `About ${plural(known, 'input')} to train on. The template wants ${wanted}.`
        : null,
    );
  };

  const examples = (): number | null => {
    const all = dataset.value ? datasets.find((d) => d.id === dataset.value)?.inputs : app?.inputs;
    if (all === undefined) {
      return null;
    }
    if (validation.value.startsWith('dataset:')) {
      return all;
    }
    const held = validation.value === 'fraction' ? readFraction() : DEFAULT_FRACTION;
    return Math.max(1, Math.round(all * (1 - (held ?? DEFAULT_FRACTION))));
  };

  const readFraction = (): number | null => {
    const value = Number(fraction.value);
    return fraction.value.trim() !== '' && value >= 0 && value <= LARGEST_FRACTION ? value : null;
  };

  const peek = (): Pick<Train, 'dataset' | 'validation'> => {
    const chosen = validation.value;
    const held = chosen === 'fraction' ? readFraction() : chosen ? chosen.slice('dataset:'.length) : null;
    return { dataset: dataset.value || null, validation: held };
  };

  const check = (): boolean => {
    const wrong = validation.value === 'fraction' && readFraction() === null;
    fault.hidden = !wrong;
    fault.textContent = wrong ? 'A number between 0 and 0.9.' : '';
    fraction.setAttribute('aria-invalid', String(wrong));
    return !wrong;
  };

  const changed = (): void => {
    refresh();
    check();
    onChange();
  };
  dataset.addEventListener('change', changed);
  validation.addEventListener('change', changed);
  fraction.addEventListener('input', changed);

  return {
    element,
    get examples() {
      return examples();
    },
    read() {
      if (!check()) {
        fraction.focus();
        return null;
      }
      return peek();
    },
    peek,
    setTemplate(template) {
      wanted = template.images.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
      refresh();
      kept.textContent = template.fields.find((field) => field.name === 'validation')?.help ?? '';
    },
    setDatasets(next, all) {
      app = next;
      datasets = all;
      refresh();
    },
  };
}
