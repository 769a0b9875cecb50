/** Sliders for regions that were found: from which value on they are shown, and how much a mask covers. */
import type { FoundRegion, Prediction } from '../api';
import { h } from '../dom';

export interface RegionLook {
  threshold: number;
  opacity: number;
  names: boolean;
}

export interface RegionSliders {
  readonly element: HTMLElement;
  readonly value: RegionLook;
  /** Shows what these predictions call for, and lowers the threshold where nothing would reach it. */
  fit(predictions: readonly Prediction[]): void;
  hide(): void;
}

export const USUAL_THRESHOLD = 0.5;

/**
 * Where a segmenter says of each pixel what it is, what it says is all that there is: the value of a mask is how certain
 * its pixels are on average, and no choice of what counts.
 */
export function isSegmentation(found: readonly FoundRegion[]): boolean {
  return found.length > 0 && found.every((region) => region.mask);
}

export function regionSliders(onChange: (look: RegionLook) => void): RegionSliders {
  const threshold = slider('Show from', USUAL_THRESHOLD, 'region-threshold', 'The least value of a region');
  const opacity = slider('Masks', 0.5, 'region-opacity', 'How much a mask covers');
  const names = h('input', { type: 'checkbox', 'data-testid': 'region-names' });
  names.checked = true;
  const element = h(
    'div',
    { class: 'dft-row dft-wrap dft-sliders', hidden: true, 'data-testid': 'region-sliders' },
    threshold.element,
    opacity.element,
    h('label', { class: 'dft-check' }, names, h('span', {}, 'Names')),
  );
  const value = (): RegionLook => ({
    threshold: threshold.value,
    opacity: opacity.value,
    names: names.checked,
  });
  element.addEventListener('input', () => onChange(value()));
  let moved = false; // what a person chose stays for the next images
  threshold.element.addEventListener('input', () => (moved = true));

  return {
    element,
    get value() {
      return value();
    },
    fit(predictions) {
      const found = predictions.flatMap((prediction) => prediction.regions ?? []);
      element.hidden = found.length === 0;
      opacity.element.hidden = !found.some((region) => region.mask);
      if (!moved) {
        const few = found.some((region) => region.value >= USUAL_THRESHOLD) && !isSegmentation(found);
        threshold.value = few ? USUAL_THRESHOLD : 0;
      }
    },
    hide() {
      element.hidden = true;
    },
  };
}

export interface Slider {
  readonly element: HTMLElement;
  value: number;
}

/** A slider from 0 to 1 with its value beside it. */
export function slider(label: string, start: number, testid: string, title: string): Slider {
  const input = h('input', { type: 'range', min: 0, max: 1, step: 0.01, 'data-testid': testid });
  const text = h('span', { class: 'dft-slider-value' });
  const show = (): void => void (text.textContent = input.valueAsNumber.toFixed(2));
  input.value = String(start);
  show();
  input.addEventListener('input', show);
  return {
    element: h('label', { class: 'dft-check dft-slider', title }, h('span', {}, label), input, text),
    get value() {
      return input.valueAsNumber;
    },
    set value(next) {
      input.value = String(next);
      show();
    },
  };
}
