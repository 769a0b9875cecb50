/** The regions of the input whose details are shown: drawn over its picture, and listed, with a way to delete one. */
import type { Input, Region } from '../api';
import { h } from '../dom';
import { plural } from '../format';
import { shapeList } from '../regions/list';
import { regionOverlay } from '../regions/overlay';
import { shapesOfRegions } from '../regions/shapes';
import type { Visibility } from '../regions/visibility';

export interface DetailRegions {
  /** The heading and the list. */
  readonly element: HTMLElement;
  /** Goes over the picture. */
  readonly overlay: HTMLElement;
  set(input: Input): void;
  /** The switches changed. */
  draw(): void;
  /** Names stand beside the regions where there is room. */
  setLarge(large: boolean): void;
}

export function detailRegions(visible: Visibility, remove: (region: Region) => void): DetailRegions {
  let input: Input | null = null;
  const point = (key: string | null): void => {
    overlay.look({ highlight: key });
    list.light(key);
  };
  const overlay = regionOverlay({ line: 2, onPoint: point });
  const list = shapeList({
    label: 'Regions',
    onPoint: (key) => overlay.look({ highlight: key }),
    onRemove: (shape) => {
      const region = input?.regions.find((one) => `r${one.id ?? 0}` === shape.key);
      if (region) {
        remove(region);
      }
    },
  });
  const heading = h('h3', {});
  const element = h('section', { 'aria-label': 'Regions', hidden: true }, heading, list.element);

  const draw = (): void => {
    if (!input) {
      return;
    }
    const shapes = shapesOfRegions(input.regions);
    const shown = visible.visible(shapes);
    element.hidden = shapes.length === 0;
    heading.textContent =
      shown.length < shapes.length
        ? `${shown.length} of ${plural(shapes.length, 'region')}`
        : plural(shapes.length, 'region');
    overlay.look({ highlight: null });
    overlay.set(shown, input);
    list.set(shown, input);
  };

  return {
    element,
    overlay: overlay.element,
    set(next) {
      input = next;
      draw();
    },
    draw,
    setLarge: (large) => overlay.look({ names: large }),
  };
}
