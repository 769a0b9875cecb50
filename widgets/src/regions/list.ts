/** The shapes of one picture as a list: name, value, extent; pointing at a row lights its shape, and the other way round. */
import { strokeColour } from '../colours';
import { button } from '../controls';
import { fill, h } from '../dom';
import { score } from '../format';
import { shapeExtent } from './shapes';
import type { Shape, Size } from './shapes';

export interface ShapeList {
  readonly element: HTMLElement;
  set(shapes: readonly Shape[], picture: Size): void;
  /** Lights the row of a shape that is pointed at in the picture. */
  light(key: string | null): void;
}

export interface ShapeListOptions {
  label: string;
  onPoint(key: string | null): void;
  onRemove?(shape: Shape): void;
}

const SHOWN = 200;
const KINDS: Record<Shape['kind'], string> = { box: 'box', polygon: 'polygon', mask: 'mask', point: 'point' };

export function shapeList(options: ShapeListOptions): ShapeList {
  const rows = new Map<string, HTMLElement>();
  const element = h('ul', { class: 'dft-shapes', 'aria-label': options.label, 'data-testid': 'region-list' });

  const row = (shape: Shape, picture: Size): HTMLElement => {
    const dot = h('span', { class: 'dft-shape-dot', 'aria-hidden': 'true' });
    dot.style.background = strokeColour(shape.concept);
    dot.classList.toggle('dft-shape-ignored', shape.ignored);
    const name = shape.concept || (shape.ignored ? 'every concept' : '(no concept)');
    const facts = [
      shape.ignored ? 'ignored' : '',
      shape.kind === 'box' ? '' : KINDS[shape.kind],
      shapeExtent(shape, picture),
    ].filter(Boolean);
    const { onRemove } = options;
    const made = h(
      'li',
      {
        class: 'dft-shape',
        tabindex: 0,
        title: [name, ...facts].join(' · '),
        'data-testid': 'region',
        'data-concept': shape.concept,
      },
      dot,
      h('bdi', { class: 'dft-shape-name', title: name }, name),
      shape.value === null ? null : h('span', { class: 'dft-shape-value' }, score(shape.value)),
      h('span', { class: 'dft-hint dft-shape-extent' }, facts.join(' · ')),
      onRemove &&
        button({
          label: `Delete this ${KINDS[shape.kind]} of ${name}`,
          icon: 'bin',
          bare: true,
          testid: 'region-delete',
          onClick: () => onRemove(shape),
        }),
    );
    made.addEventListener('pointerenter', () => options.onPoint(shape.key));
    made.addEventListener('pointerleave', () => options.onPoint(null));
    made.addEventListener('focus', () => options.onPoint(shape.key));
    made.addEventListener('blur', () => options.onPoint(null));
    made.addEventListener('keydown', (event) => onKey(event, made, shape));
    return made;
  };

  const onKey = (event: KeyboardEvent, made: HTMLElement, shape: Shape): void => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const next = event.key === 'ArrowDown' ? made.nextElementSibling : made.previousElementSibling;
      (next as HTMLElement | null)?.focus();
    } else if (event.key === 'Delete' && options.onRemove) {
      event.preventDefault();
      event.stopPropagation();
      options.onRemove(shape);
    }
  };

  return {
    element,
    set(shapes, picture) {
      rows.clear();
      for (const shape of shapes.slice(0, SHOWN)) {
        rows.set(shape.key, row(shape, picture));
      }
      const more = shapes.length - SHOWN;
      fill(element, ...rows.values(), more > 0 && h('li', { class: 'dft-hint' }, `and ${more} more`));
    },
    light(key) {
      for (const [name, made] of rows) {
        made.classList.toggle('dft-lit', name === key);
      }
      const lit = key === null ? undefined : rows.get(key);
      if (lit) {
        // scrollIntoView would move the page too
        const top = lit.offsetTop;
        if (top < element.scrollTop || top + lit.offsetHeight > element.scrollTop + element.clientHeight) {
          element.scrollTop = top - element.clientHeight / 2;
        }
      }
    },
  };
}
