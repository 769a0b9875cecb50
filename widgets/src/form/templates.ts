/** Template cards: name, what it is good for, time, hardware and licence. A group of radio buttons. */
import type { Template, TemplateList } from '../api';
import { fill, freshId, h } from '../dom';

export interface TemplateCards {
  readonly element: HTMLElement;
  readonly chosen: Template | null;
  show(list: TemplateList, type: string): void;
  choose(id: string): void;
}

export function templateCards(onChoose: (template: Template) => void): TemplateCards {
  const group = freshId();
  const cards = h('div', { class: 'dft-cards', role: 'radiogroup', 'aria-label': 'Template' });
  const broken = h('div');
  const element = h('section', { 'aria-label': 'Template' }, h('h3', {}, 'Template'), cards, broken);
  let templates: Template[] = [];
  let chosen: Template | null = null;

  const choose = (template: Template): void => {
    chosen = template;
    for (const input of cards.querySelectorAll('input')) {
      input.checked = input.value === template.id;
    }
    onChoose(template);
  };

  return {
    element,
    get chosen() {
      return chosen;
    },
    show(list, type) {
      templates = list.templates.filter((template) => template.type === type);
      templates.sort((a, b) => Number(b.recommended) - Number(a.recommended) || a.name.localeCompare(b.name));
      fill(cards, ...templates.map((template) => card(template, group, () => choose(template))));
      fill(
        broken,
        ...list.broken.map((file) =>
          h(
            'details',
            { class: 'dft-list' },
            h('summary', {}, `A template file cannot be used: ${file.origin}`),
            h('ul', {}, ...file.faults.map((fault) => h('li', {}, `${fault.field}: ${fault.reason}`))),
          ),
        ),
      );
    },
    choose(id) {
      const found = templates.find((template) => template.id === id || template.aliases.includes(id));
      const fallback = found ?? templates[0];
      if (fallback) {
        choose(fallback);
      }
    },
  };
}

function card(template: Template, group: string, choose: () => void): HTMLElement {
  const input = h('input', {
    type: 'radio',
    name: group,
    value: template.id,
    'data-testid': `template-${template.id}`,
  });
  input.addEventListener('change', choose);
  const facts: [string, string][] = [
    ['Good for', template.good_for],
    ['Images', template.images],
    ['Runs on', template.hardware],
    ['Takes', template.duration],
    [
      'Licence',
      [template.licence.code, template.licence.weights && `weights: ${template.licence.weights}`]
        .filter(Boolean)
        .join('; '),
    ],
  ];
  return h(
    'label',
    { class: 'dft-card', title: template.origin ? `${template.id}\nfrom ${template.origin}` : template.id },
    input,
    h(
      'span',
      { class: 'dft-card-body' },
      h(
        'span',
        { class: 'dft-card-name' },
        template.name,
        template.recommended ? h('span', { class: 'dft-badge dft-badge-recommended' }, 'recommended') : null,
      ),
      h('span', { class: 'dft-card-summary' }, template.summary),
      h(
        'span',
        { class: 'dft-card-facts' },
        ...facts
          .filter(([, value]) => value)
          .map(([name, value]) => h('span', {}, h('span', { class: 'dft-hint' }, `${name} `), value)),
      ),
    ),
  );
}
