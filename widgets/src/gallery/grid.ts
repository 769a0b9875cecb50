/** A virtual grid of inputs: only the rows that can be seen are in the document. */
import type { Input } from '../api';
import type { AppTarget, Context } from '../context';
import { eachFrame, freshId, h, Scope } from '../dom';
import { keepKeys } from '../keyboard';
import { regionOverlay } from '../regions/overlay';
import type { Overlay } from '../regions/overlay';
import { shapesOfRegions } from '../regions/shapes';
import type { Visibility } from '../regions/visibility';
import type { InputList } from './list';
import type { Selection } from './selection';
import { appearance, chips, pictureOf, spoken } from './tile';

const TILE = 128; // the least width of a tile
const GAP = 8;
const CAPTION = 46; // height below the picture
const OVERSCAN = 2; // rows beyond the edge

export interface GridActions {
  open(input: Input): void;
  remove(): void;
  undo(): void;
}

/** A tile in the document: its canvas is there only where the input has regions to show. */
interface Tile {
  element: HTMLElement;
  looks: string;
  regions: string;
  overlay: Overlay | null;
}

export interface Grid {
  readonly element: HTMLElement;
  draw(): void;
  /** Index behind the last one that can be seen. */
  readonly end: number;
  focus(): void;
  reveal(index: number): void;
}

export function inputGrid(
  context: Context,
  target: AppTarget,
  list: InputList,
  selection: Selection,
  regions: Visibility,
  actions: GridActions,
  scope: Scope,
): Grid {
  const id = freshId();
  const spacer = h('div', { class: 'dft-grid-space' });
  const element = h(
    'div',
    {
      class: 'dft-grid',
      role: 'listbox',
      tabindex: 0,
      'aria-label': 'Inputs',
      'aria-multiselectable': 'true',
      'data-testid': 'gallery-grid',
    },
    spacer,
  );
  const tiles = new Map<string, Tile>();
  let columns = 1;
  let width = TILE;
  let end = 0;

  const measure = (): number => {
    const room = Math.max(TILE, element.clientWidth - 2 * GAP);
    columns = Math.max(1, Math.floor((room + GAP) / (TILE + GAP)));
    width = (room + GAP) / columns - GAP;
    return width + CAPTION + GAP;
  };

  const draw = (): void => {
    const height = measure();
    const rows = Math.ceil(list.total / columns);
    spacer.style.height = `${rows * height + GAP}px`;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - OVERSCAN) * columns;
    end = (Math.ceil((element.scrollTop + element.clientHeight) / height) + OVERSCAN) * columns;
    const visible = list.items.slice(first, end);
    const wanted = new Set(visible.map((input) => input.id));
    for (const [key, tile] of tiles) {
      if (!wanted.has(key)) {
        tile.overlay?.dispose();
        tile.element.remove();
        tiles.delete(key);
      }
    }
    visible.forEach((input, offset) => place(input, first + offset, height));
    const active = list.items[selection.active];
    if (active && tiles.has(active.id)) {
      element.setAttribute('aria-activedescendant', `${id}-${active.id}`);
    } else {
      element.removeAttribute('aria-activedescendant');
    }
    if (end > list.items.length) {
      void list.ensure(end);
    }
  };

  const place = (input: Input, index: number, height: number): void => {
    const looks = appearance(input);
    let tile = tiles.get(input.id);
    if (!tile) {
      tile = { element: makeTile(input), looks, regions: '', overlay: null };
      tiles.set(input.id, tile);
      spacer.append(tile.element);
    } else if (tile.looks !== looks) {
      tile.looks = looks;
      tile.element.setAttribute('aria-label', spoken(input));
      tile.element.querySelector('.dft-chips')?.replaceWith(chips(input));
    }
    drawRegions(tile, input);
    const { style } = tile.element;
    style.width = `${width}px`;
    style.height = `${width + CAPTION}px`;
    style.transform = `translate(${GAP + (index % columns) * (width + GAP)}px, ${GAP + Math.floor(index / columns) * height}px)`;
    tile.element.dataset.index = String(index);
    tile.element.setAttribute('aria-selected', String(selection.ids.has(input.id)));
    tile.element.setAttribute('aria-posinset', String(index + 1));
    tile.element.setAttribute('aria-setsize', String(list.total));
    tile.element.classList.toggle('dft-active', index === selection.active);
  };

  const drawRegions = (tile: Tile, input: Input): void => {
    const wanted = `${regions.state} ${input.regions.map((region) => region.id).join()}`;
    if (tile.regions === wanted) {
      return;
    }
    tile.regions = wanted;
    const shapes = regions.visible(shapesOfRegions(input.regions));
    if (shapes.length === 0) {
      tile.overlay?.dispose();
      tile.overlay = null;
      return;
    }
    if (!tile.overlay) {
      tile.overlay = regionOverlay({ line: 1.25 });
      tile.element.querySelector('.dft-tile-picture')?.append(tile.overlay.element);
    }
    tile.overlay.set(shapes, input);
  };

  const makeTile = (input: Input): HTMLElement =>
    h(
      'div',
      {
        class: 'dft-tile',
        role: 'option',
        id: `${id}-${input.id}`,
        'aria-label': spoken(input),
        'data-testid': 'gallery-tile',
        'data-input': input.id,
        title: input.name,
      },
      h('span', { class: 'dft-tile-picture' }, pictureOf(context.client, target, input, 'thumbnail')),
      h('span', { class: 'dft-tile-name' }, h('bdi', {}, input.name)),
      chips(input),
    );

  const indexOf = (event: Event): number => {
    const tile = (event.target as Element).closest<HTMLElement>('.dft-tile');
    return tile ? Number(tile.dataset.index) : -1;
  };

  element.addEventListener('click', (event) => {
    const index = indexOf(event);
    if (index >= 0) {
      selection.choose(list.items, index, { toggle: event.ctrlKey || event.metaKey, range: event.shiftKey });
    } else {
      selection.clear();
    }
  });
  element.addEventListener('dblclick', (event) => {
    const input = list.items[indexOf(event)];
    if (input) {
      actions.open(input);
    }
  });
  element.addEventListener('keydown', (event) => {
    if (onKey(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });

  const move = (index: number, extend: boolean): void => {
    selection.move(list.items, index, extend);
    reveal(selection.active);
  };

  const onKey = (event: KeyboardEvent): boolean => {
    const at = selection.active;
    const control = event.ctrlKey || event.metaKey;
    const page = Math.max(1, Math.floor(element.clientHeight / (width + CAPTION))) * columns;
    switch (event.key) {
      case 'ArrowRight':
        move(at + 1, event.shiftKey);
        return true;
      case 'ArrowLeft':
        move(at - 1, event.shiftKey);
        return true;
      case 'ArrowDown':
        move(at < 0 ? 0 : at + columns, event.shiftKey);
        return true;
      case 'ArrowUp':
        move(at - columns, event.shiftKey);
        return true;
      case 'PageDown':
        move(at + page, event.shiftKey);
        return true;
      case 'PageUp':
        move(at - page, event.shiftKey);
        return true;
      case 'Home':
        move(0, event.shiftKey);
        return true;
      case 'End':
        void list.ensure(list.total).then(() => move(list.items.length - 1, event.shiftKey));
        return true;
      case ' ':
        selection.choose(list.items, Math.max(0, at), { toggle: true });
        return true;
      case 'Enter':
        if (list.items[at]) {
          actions.open(list.items[at]);
        }
        return true;
      case 'Escape':
        selection.clear();
        return true;
      case 'Delete':
        actions.remove();
        return true;
      case 'a':
        if (control) {
          void list.ensure(Infinity).then(() => selection.chooseAll(list.items));
        }
        return control;
      case 'z':
        if (control) {
          actions.undo();
        }
        return control;
      default:
        return regions.key(event);
    }
  };

  const reveal = (index: number): void => {
    const height = measure();
    const top = Math.floor(index / columns) * height;
    if (top < element.scrollTop) {
      element.scrollTop = top;
    } else if (top + height > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + height + GAP - element.clientHeight;
    }
    frame.call();
  };

  const frame = eachFrame(draw);
  element.addEventListener('scroll', frame.call, { passive: true });
  const resize = new ResizeObserver(frame.call);
  resize.observe(element);
  scope.add(() => resize.disconnect());
  scope.add(frame.cancel);
  scope.add(() => tiles.forEach((tile) => tile.overlay?.dispose()));
  scope.add(keepKeys(element));
  return {
    element,
    draw: frame.call,
    get end() {
      return end;
    },
    focus: () => element.focus(),
    reveal,
  };
}
