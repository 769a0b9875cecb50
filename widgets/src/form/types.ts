/** The model types: what each does, and what labels it learns from. A group of radio buttons. */
import type { Template } from '../api';
import { fill, freshId, h } from '../dom';

interface TypeWords {
  name: string;
  does: string;
  needs: string;
}

const TYPES: Record<string, TypeWords> = {
  'visual-classifier': {
    name: 'Visual classifier',
    does: 'Says which concepts an image shows.',
    needs: 'concepts on whole images',
  },
  'visual-detector': {
    name: 'Visual detector',
    does: 'Finds each thing in an image, with a box around it.',
    needs: 'boxes with concepts',
  },
  'visual-embedder': {
    name: 'Visual embedder',
    does: 'Turns an image into numbers that lie close together for images alike.',
    needs: 'concepts on whole images, many of them',
  },
  'visual-segmenter': {
    name: 'Visual segmenter',
    does: 'Says of each pixel which concept it belongs to.',
    needs: 'masks or polygons with concepts',
  },
  'embedding-classifier': {
    name: 'Embedding classifier',
    does: 'Learns concepts in seconds, on top of a network that stays as it is.',
    needs: 'concepts on whole images, few are enough',
  },
};

export interface TypeChoice {
  readonly element: HTMLElement;
  readonly value: string;
  /** The types that have templates; those that nobody here knows come last, by their ids. */
  show(templates: readonly Template[]): void;
  choose(type: string): void;
  /** A model's type never changes. */
  fix(): void;
}

/** A type's name on screen. */
export function typeName(type: string): string {
  return TYPES[type]?.name ?? type;
}

export function typeChoice(onChoose: (type: string) => void): TypeChoice {
  const group = freshId();
  const cards = h('div', {
    class: 'dft-cards dft-types',
    role: 'radiogroup',
    'aria-label': 'Type',
    'data-testid': 'model-type',
  });
  const element = h('section', { 'aria-label': 'Type' }, h('h3', {}, 'Type'), cards);
  let value = Object.keys(TYPES)[0];
  let fixed = false;

  const choose = (type: string): void => {
    value = type;
    for (const input of cards.querySelectorAll('input')) {
      input.checked = input.value === type;
      const card = input.closest<HTMLElement>('.dft-card');
      if (card) {
        card.hidden = fixed && !input.checked;
      }
    }
  };

  return {
    element,
    get value() {
      return value;
    },
    show(templates) {
      const present = new Set(templates.map((template) => template.type));
      const order = [...Object.keys(TYPES), ...[...present].filter((type) => !(type in TYPES)).sort()];
      const types = order.filter((type) => present.has(type));
      fill(
        cards,
        ...types.map((type) => {
          const count = templates.filter((template) => template.type === type).length;
          return card(type, count, group, () => {
            choose(type);
            onChoose(type);
          });
        }),
      );
      if (!present.has(value) && types.length > 0) {
        value = types[0];
      }
      choose(value);
    },
    choose,
    fix() {
      fixed = true;
      choose(value);
    },
  };
}

function card(type: string, count: number, group: string, choose: () => void): HTMLElement {
  const input = h('input', { type: 'radio', name: group, value: type, 'data-testid': `type-${type}` });
  input.addEventListener('change', choose);
  const words = TYPES[type];
  return h(
    'label',
    { class: 'dft-card', title: type },
    input,
    h(
      'span',
      { class: 'dft-card-body' },
      h(
        'span',
        { class: 'dft-card-name' },
        typeName(type),
        h('span', { class: 'dft-hint' }, count === 1 ? '1 template' : `${count} templates`),
      ),
      words ? h('span', {}, words.does) : null,
      words ? h('span', { class: 'dft-help' }, `Learns from ${words.needs}.`) : null,
    ),
  );
}
