/** The templates of a type as cards, recommended ones first: what each is good for, time, hardware, licence. */
import type { Template, TemplateList } from '../api';
import { button } from '../controls';
import { fill, freshId, h } from '../dom';
import { icon } from '../icons';

export interface TemplateCards {
  readonly element: HTMLElement;
  readonly chosen: Template | null;
  show(list: TemplateList): void;
  /** Shows the templates of one type. */
  setType(type: string): void;
  choose(id: string): void;
}

export interface TemplateActions {
  choose(template: Template): void;
  /** Reads the template files again. */
  refresh(): Promise<void>;
}

export function templateCards(actions: TemplateActions): TemplateCards {
  const group = freshId();
  const cards = h('div', { class: 'dft-cards', role: 'radiogroup', 'aria-label': 'Template' });
  const broken = h('div', { 'data-testid': 'broken-templates' });
  const refresh = button({
    label: 'Read the template files again',
    icon: 'refresh',
    bare: true,
    testid: 'templates-refresh',
    onClick: () => actions.refresh(),
  });
  const element = h(
    'section',
    { 'aria-label': 'Template' },
    h('div', { class: 'dft-row' }, h('h3', {}, 'Template'), refresh),
    cards,
    broken,
  );
  let all: Template[] = [];
  let templates: Template[] = [];
  let chosen: Template | null = null;

  const choose = (template: Template): void => {
    chosen = template;
    for (const input of cards.querySelectorAll('input')) {
      input.checked = input.value === template.id;
    }
    actions.choose(template);
  };

  return {
    element,
    get chosen() {
      return chosen;
    },
    setType(type) {
      templates = all.filter((template) => template.type === type);
      templates.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
      fill(cards, ...templates.map((template) => card(template, group, () => choose(template))));
      for (const input of cards.querySelectorAll('input')) {
        input.checked = input.value === chosen?.id;
      }
    },
    show(list) {
      all = list.templates;
      fill(
        broken,
        ...list.broken.map((file) =>
          h(
            'details',
            { class: 'dft-list dft-broken', 'data-testid': 'broken-template' },
            h('summary', { title: file.origin }, icon('warning'), ` Cannot be used: ${nameOf(file.origin)}`),
            h('div', { class: 'dft-help' }, file.origin),
            h(
              'ul',
              {},
              ...file.faults.map((fault) =>
                h('li', {}, fault.field ? `${fault.field}: ${fault.reason}` : fault.reason),
              ),
            ),
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

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Recommended ones first; what takes a configuration of one's own last. */
function rank(template: Template): number {
  const own = template.fields.some((field) => field.type === 'text' && field.unit === 'yaml');
  return template.recommended ? 0 : own ? 2 : 1;
}
