/** A canvas over a picture that is shown whole (`object-fit: contain`); draws shapes, and says which one is pointed at. */
import { h } from '../dom';
import { drawShapes } from './draw';
import type { Look } from './draw';
import { containedRect, shapeAt } from './shapes';
import type { Rect, Shape, Size } from './shapes';

export interface Overlay {
  /** To be put beside the picture, in an element that is positioned. */
  readonly element: HTMLCanvasElement;
  /** Draws shapes of a picture of this size. */
  set(shapes: readonly Shape[], picture: Size): void;
  look(change: Partial<Look>): void;
  dispose(): void;
}

export interface OverlayOptions extends Partial<Look> {
  /** A shape is pointed at, or none any more. Without it the canvas lets every event through. */
  onPoint?(key: string | null): void;
}

const overlays = new WeakMap<Element, () => void>();
// one observer for all pictures: a grid holds a hundred of them
const sizes =
  typeof ResizeObserver === 'undefined'
    ? null
    : new ResizeObserver((entries) => entries.forEach(({ target }) => overlays.get(target)?.()));

export function regionOverlay(options: OverlayOptions = {}): Overlay {
  const { onPoint, ...given } = options;
  const look: Look = { line: 2, names: false, opacity: 0.5, highlight: null, ...given };
  const element = h('canvas', {
    class: 'dft-overlay',
    'aria-hidden': 'true',
    'data-testid': 'regions-drawn',
  });
  let shapes: readonly Shape[] = [];
  let picture: Size = { width: 1, height: 1 };
  let rect: Rect = { x: 0, y: 0, width: 0, height: 0 };

  const draw = (): void => {
    const { clientWidth: width, clientHeight: height } = element;
    element.dataset.shapes = String(shapes.length);
    const context = width > 0 && height > 0 ? element.getContext('2d') : null;
    if (!context) {
      return;
    }
    const density = window.devicePixelRatio || 1;
    element.width = Math.round(width * density);
    element.height = Math.round(height * density);
    context.setTransform(density, 0, 0, density, 0, 0);
    rect = containedRect({ width, height }, picture);
    drawShapes(context, rect, shapes, look);
  };

  if (onPoint) {
    element.classList.add('dft-pointed');
    element.addEventListener('pointermove', (event) => {
      const frame = element.getBoundingClientRect();
      const x = ((event.clientX - frame.left) * element.clientWidth) / Math.max(1, frame.width);
      const y = ((event.clientY - frame.top) * element.clientHeight) / Math.max(1, frame.height);
      onPoint(shapeAt(shapes, rect, x, y)?.key ?? null);
    });
    element.addEventListener('pointerleave', () => onPoint(null));
  }
  overlays.set(element, draw);
  sizes?.observe(element);

  return {
    element,
    set(next, size) {
      shapes = next;
      picture = size;
      draw();
    },
    look(change) {
      Object.assign(look, change);
      draw();
    },
    dispose() {
      sizes?.unobserve(element);
      overlays.delete(element);
      element.remove();
    },
  };
}
