/** Which regions a gallery shows: all or none, and by concept; a bar of switches, and the keys for them. */
import { strokeColour } from '../colours';
import { button } from '../controls';
import { fill, h } from '../dom';
import { plural } from '../format';
import type { Shape } from './shapes';

export interface Visibility {
  readonly element: HTMLElement;
  /** The concepts that the loaded inputs' regions have, with how many; the bar is hidden while there are none. */
  setConcepts(counts: ReadonlyMap<string, number>): void;
  visible(shapes: Shape[]): Shape[];
  /** Changes with every switch, to see what must be drawn again. */
  readonly state: string;
  /** `r` shows or hides all, 1 to 9 one concept. True: the key was meant for here. */
  key(event: KeyboardEvent): boolean;
}

const SWITCHES = 24; // concepts that get a switch of their own

export function visibility(onChange: () => void): Visibility {
  let shown = true;
  let concepts: [name: string, count: number][] = [];
  const hidden = new Set<string>();
  const all = button({
    label: 'Regions',
    icon: 'region',
    title: 'Show or hide the regions (R)',
    testid: 'regions-toggle',
    onClick: () => toggleAll(),
  });
  const switches = h('span', { class: 'dft-row dft-wrap dft-switches' });
  const element = h(
    'div',
    {
      class: 'dft-row dft-region-bar',
      role: 'group',
      'aria-label': 'Regions',
      hidden: true,
      'data-testid': 'region-bar',
    },
    all,
    switches,
  );

  function toggleAll(): void {
    shown = !shown;
    mark();
    onChange();
  }

  function toggle(concept: string): void {
    if (!shown) {
      shown = true;
    } else if (!hidden.delete(concept)) {
      hidden.add(concept);
    }
    mark();
    onChange();
  }

  function mark(): void {
    all.setAttribute('aria-pressed', String(shown));
    for (const made of switches.querySelectorAll<HTMLElement>('button')) {
      made.setAttribute('aria-pressed', String(shown && !hidden.has(made.dataset.concept ?? '')));
    }
  }

  function draw(): void {
    fill(
      switches,
      ...concepts.slice(0, SWITCHES).map(([name, count], index) => conceptSwitch(name, count, index)),
      concepts.length > SWITCHES &&
        h('span', { class: 'dft-hint' }, `and ${concepts.length - SWITCHES} more`),
    );
    mark();
  }

  function conceptSwitch(name: string, count: number, index: number): HTMLElement {
    const dot = h('span', { class: 'dft-shape-dot', 'aria-hidden': 'true' });
    dot.style.background = strokeColour(name);
    const words = name || 'ignored';
    const key = index < 9 ? ` (${index + 1})` : '';
    const made = h(
      'button',
      {
        type: 'button',
        class: 'dft-chip dft-switch',
        title: `Show or hide ${words}${key}: ${plural(count, 'region')} in the inputs that are loaded`,
        'data-testid': 'regions-concept',
        'data-concept': name,
      },
      dot,
      h('bdi', { class: 'dft-chip-text' }, words),
      h('span', { class: 'dft-hint' }, String(count)),
    );
    made.addEventListener('click', () => toggle(name));
    return made;
  }

  return {
    element,
    setConcepts(counts) {
      const next = [...counts].sort((a, b) => a[0].localeCompare(b[0]));
      element.hidden = next.length === 0;
      if (JSON.stringify(next) !== JSON.stringify(concepts)) {
        concepts = next;
        const focused = switches.contains(document.activeElement)
          ? (document.activeElement as HTMLElement).dataset.concept
          : undefined;
        draw();
        if (focused !== undefined) {
          [...switches.querySelectorAll<HTMLElement>('button')]
            .find((made) => made.dataset.concept === focused)
            ?.focus();
        }
      }
    },
    visible: (shapes) => (shown ? shapes.filter((shape) => !hidden.has(shape.concept)) : []),
    get state() {
      return JSON.stringify([shown, ...hidden]);
    },
    key(event) {
      if (element.hidden || event.ctrlKey || event.metaKey || event.altKey) {
        return false;
      }
      if (event.key === 'r' || event.key === 'R') {
        toggleAll();
        return true;
      }
      const chosen = /^[1-9]$/.test(event.key) ? concepts[Number(event.key) - 1] : undefined;
      if (chosen) {
        toggle(chosen[0]);
      }
      return chosen !== undefined;
    },
  };
}
