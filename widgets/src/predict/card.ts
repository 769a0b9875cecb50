/** What a version says of one image: bars of concepts, regions over the picture beside their list, or an embedding. */
import type { Prediction } from '../api';
import { button, copyButton } from '../controls';
import { fill, h } from '../dom';
import { number, score } from '../format';
import { icon } from '../icons';
import { shapeList } from '../regions/list';
import { regionOverlay } from '../regions/overlay';
import { shapesOfFound } from '../regions/shapes';
import type { Shape, Size } from '../regions/shapes';
import type { RegionLook } from './sliders';

const BARS = 10;
const FIRST_NUMBERS = 4;

export interface PredictionCard {
  readonly element: HTMLElement;
  /** The model's type says what it means that nothing was found. */
  show(prediction: Prediction, type: string): void;
  /** How regions are drawn: from which value on, and how strong masks are. */
  look(look: RegionLook): void;
  dispose(): void;
}

export function predictionCard(name: string, url: string): PredictionCard {
  const picture = h('img', { class: 'dft-predict-picture', src: url, alt: name });
  const frame = h('div', { class: 'dft-framed dft-predict-frame' }, picture);
  // the browser cannot draw TIFF; the server can read it all the same
  picture.addEventListener('error', () =>
    picture.replaceWith(h('span', { class: 'dft-predict-picture' }, icon('image'))),
  );
  const bars = h('div', { class: 'dft-bars' }, h('span', { class: 'dft-spinner' }));
  const tools = h('span', { class: 'dft-row' });
  const element = h(
    'figure',
    { class: 'dft-prediction', 'data-testid': 'prediction' },
    frame,
    h(
      'div',
      {},
      h('div', { class: 'dft-row' }, h('figcaption', { title: name }, h('bdi', {}, name)), tools),
      bars,
    ),
  );

  const overlay = regionOverlay({
    names: true,
    onPoint: (key) => {
      overlay.look({ highlight: key });
      list.light(key);
    },
  });
  const list = shapeList({ label: 'Regions', onPoint: (key) => overlay.look({ highlight: key }) });
  const count = h('div', { class: 'dft-help', role: 'status', 'data-testid': 'region-count' });
  let shapes: Shape[] = [];
  let look: RegionLook = { threshold: 0, opacity: 0.5, names: true };

  const sizeOf = (): Size => ({ width: picture.naturalWidth || 1, height: picture.naturalHeight || 1 });
  const drawRegions = (): void => {
    if (shapes.length === 0) {
      return;
    }
    const shown = shapes.filter((shape) => (shape.value ?? 1) >= look.threshold);
    overlay.look({ highlight: null, opacity: look.opacity, names: look.names });
    overlay.set(shown, sizeOf());
    list.set(shown, sizeOf());
    count.textContent =
      shown.length === shapes.length ? regionWords(shown) : `${shown.length} of ${regionWords(shapes)}`;
  };
  picture.addEventListener('load', drawRegions);

  const showRegions = (): void => {
    element.classList.add('dft-with-regions');
    frame.append(overlay.element);
    const enlarge = button({
      label: 'Large view',
      icon: 'enlarge',
      bare: true,
      testid: 'prediction-enlarge',
      onClick: () => {
        const large = element.classList.toggle('dft-large');
        enlarge.setAttribute('aria-pressed', String(large));
      },
    });
    fill(tools, enlarge);
    fill(bars, count, list.element);
    drawRegions();
  };

  return {
    element,
    show(prediction, type) {
      const { error, concepts, regions = [], embedding = [] } = prediction;
      if (error) {
        fill(bars, h('div', { class: 'dft-fault', role: 'alert' }, error));
        return;
      }
      shapes = shapesOfFound(regions);
      if (shapes.length > 0) {
        showRegions();
      } else if (concepts.length > 0) {
        const more = concepts.length - BARS;
        fill(
          bars,
          ...concepts.slice(0, BARS).map(({ concept, value }) => bar(concept, value)),
          more > 0 && h('div', { class: 'dft-help' }, `and ${more} more concepts`),
        );
      } else if (embedding.length > 0) {
        fill(bars, embeddingView(embedding));
      } else {
        fill(bars, h('div', { class: 'dft-help' }, nothingWords(type)));
      }
    },
    look(next) {
      look = next;
      drawRegions();
    },
    dispose() {
      overlay.dispose();
      element.remove();
    },
  };
}

function regionWords(shapes: readonly Shape[]): string {
  return `${number(shapes.length)} ${shapes.length === 1 ? 'region' : 'regions'}`;
}

function nothingWords(type: string): string {
  return type === 'visual-detector' || type === 'visual-segmenter'
    ? 'Nothing was found in this image.'
    : 'The model says nothing of this image.';
}

function embeddingView(embedding: readonly number[]): HTMLElement {
  const first = embedding.slice(0, FIRST_NUMBERS).map((value) => number(value));
  return h(
    'div',
    { class: 'dft-embedding', 'data-testid': 'embedding' },
    h('div', {}, h('b', {}, number(embedding.length)), ' numbers, of length 1 as a vector'),
    h('div', { class: 'dft-help' }, `${first.join(', ')}${embedding.length > FIRST_NUMBERS ? ', …' : ''}`),
    copyButton(() => JSON.stringify(embedding), 'Copy the embedding', 'embedding-copy'),
  );
}

/** A concept with its value as a bar. */
export function bar(concept: string, value: number): HTMLElement {
  const inner = h('div', { class: 'dft-bar-fill' });
  inner.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
  return h(
    'div',
    {
      class: 'dft-bar',
      role: 'meter',
      'aria-valuemin': 0,
      'aria-valuemax': 1,
      'aria-valuenow': value,
      'aria-label': concept,
    },
    h('bdi', { class: 'dft-bar-name', title: concept }, concept),
    h('div', { class: 'dft-bar-track' }, inner),
    h('span', { class: 'dft-bar-value' }, score(value)),
  );
}
