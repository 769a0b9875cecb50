/**
 * Previews: the same validation images at every evaluation. One scrubs through the epochs by slider, arrow keys or
 * buttons, and sees which images flipped against the evaluation before.
 */
import type { Preview } from '../api';
import { button, select } from '../controls';
import type { AppTarget, Context } from '../context';
import { fill, h } from '../dom';
import { isSegmentation, slider, USUAL_THRESHOLD } from '../predict/sliders';
import { flipBetween, flipSummary, verdictOf } from './flips';
import { previewCard } from './previewCard';
import type { PreviewCard, PreviewLook } from './previewCard';
import type { PreviewSet } from './run';

export interface Previews {
  readonly element: HTMLElement;
  /** All evaluations so far, and the best epoch. */
  set(sets: readonly PreviewSet[], best: number | null): void;
  dispose(): void;
}

export function previewSection(context: Context, target: AppTarget): Previews {
  let sets: readonly PreviewSet[] = [];
  let best: number | null = null;
  let at = -1; // -1: the newest, as it comes
  let drawn = '';
  const cards = new Map<string, PreviewCard>();

  const scrub = h('input', {
    type: 'range',
    min: 0,
    step: 1,
    class: 'dft-scrub',
    'aria-label': 'Epoch',
    'data-testid': 'preview-scrub',
  });
  const words = h('span', { class: 'dft-preview-epoch', 'data-testid': 'preview-epoch' });
  const summary = h('span', { class: 'dft-help', role: 'status', 'data-testid': 'preview-summary' });
  const only = h('input', { type: 'checkbox', 'data-testid': 'preview-only-flips' });
  const truth = select(
    [
      ['over', 'Truth over it (broken lines)'],
      ['beside', 'Truth beside it'],
      ['hidden', 'Without the truth'],
    ],
    { 'aria-label': 'Truth', 'data-testid': 'preview-truth' },
  );
  const threshold = slider('Show from', USUAL_THRESHOLD, 'preview-threshold', 'The least value of a region');
  let moved = false; // what a person chose stays for the next epochs
  threshold.element.addEventListener('input', () => (moved = true));
  const opacity = slider('Masks', 0.5, 'preview-opacity', 'How much a mask covers');
  const regionTools = h(
    'span',
    { class: 'dft-row dft-wrap dft-preview-tools' },
    truth,
    threshold.element,
    opacity.element,
  );
  const previous = button({ label: 'Previous epoch', icon: 'previous', bare: true, onClick: () => move(-1) });
  const next = button({ label: 'Next epoch', icon: 'next', bare: true, onClick: () => move(1) });
  const grid = h('div', { class: 'dft-previews' });
  const element = h(
    'section',
    { hidden: true, 'aria-label': 'Previews', 'data-testid': 'previews' },
    h('h3', {}, 'Previews'),
    h('div', { class: 'dft-row dft-wrap' }, previous, scrub, next, words, summary),
    h(
      'div',
      { class: 'dft-row dft-wrap' },
      h('label', { class: 'dft-check' }, only, h('span', {}, 'Only what flipped')),
      regionTools,
    ),
    grid,
  );

  const index = (): number => (at < 0 ? sets.length - 1 : Math.min(at, sets.length - 1));
  const go = (to: number): void => {
    const bounded = Math.max(0, Math.min(sets.length - 1, to));
    at = bounded === sets.length - 1 ? -1 : bounded;
    draw();
  };
  const move = (by: number): void => go(index() + by);
  scrub.addEventListener('input', () => go(scrub.valueAsNumber));
  [only, truth, threshold.element, opacity.element].forEach((control) =>
    control.addEventListener('input', () => draw()),
  );
  element.addEventListener('keydown', (event) => {
    const field = event.target instanceof Element && event.target.matches('input, select');
    if (!field && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) {
      event.preventDefault();
      move(event.key === 'ArrowLeft' ? -1 : 1);
    }
  });

  const draw = (): void => {
    const current = sets[index()];
    if (!current) {
      return;
    }
    const before = sets[index() - 1] ?? null;
    const regional = sets.some((set) =>
      set.images.some(
        ({ prediction, regions }) => (prediction.regions ?? []).length + (regions ?? []).length > 0,
      ),
    );
    const masks = regional && hasMasks(current.images);
    regionTools.hidden = !regional;
    if (!moved) {
      const found = sets.flatMap((set) => set.images.flatMap(({ prediction }) => prediction.regions ?? []));
      threshold.value = isSegmentation(found) ? 0 : USUAL_THRESHOLD;
    }
    opacity.element.hidden = !masks;
    const look: PreviewLook = {
      threshold: threshold.value,
      opacity: opacity.value,
      truth: truth.value as PreviewLook['truth'],
    };
    scrub.max = String(sets.length - 1);
    scrub.value = String(index());
    scrub.hidden = previous.hidden = next.hidden = sets.length < 2;
    const text = `Epoch ${current.epoch}${current.epoch === best ? ', the best' : ''}`;
    scrub.setAttribute('aria-valuetext', text);
    words.textContent = sets.length > 1 ? `${text} (${index() + 1} of ${sets.length})` : text;
    previous.disabled = index() === 0;
    next.disabled = index() === sets.length - 1;
    element.dataset.epoch = String(current.epoch);

    const earlier = new Map((before?.images ?? []).map((image) => [image.input, image]));
    const flips = current.images.map((image) => {
      const verdict = verdictOf(image, look.threshold, regional);
      const former = earlier.get(image.input);
      const flip = former ? flipBetween(verdictOf(former, look.threshold, regional), verdict) : null;
      const card = cardOf(image.input);
      card.show(image, verdict, flip, look);
      card.element.hidden = only.checked && flip === null;
      return flip;
    });
    summary.textContent = before ? flipSummary(flips, before.epoch, regional) : '';
    const order = current.images.map((image) => image.input);
    if (order.join() !== drawn) {
      drawn = order.join();
      for (const [id, card] of cards) {
        if (!order.includes(id)) {
          card.dispose();
          cards.delete(id);
        }
      }
      fill(grid, ...order.map((id) => cardOf(id).element));
    }
  };

  const cardOf = (id: string): PreviewCard => {
    const ready = cards.get(id) ?? previewCard(context, target, id);
    cards.set(id, ready);
    return ready;
  };

  return {
    element,
    set(all, bestEpoch) {
      const newest = all[all.length - 1];
      const same = all.length === sets.length && newest === sets[sets.length - 1] && bestEpoch === best;
      sets = [...all];
      best = bestEpoch;
      element.hidden = sets.length === 0;
      if (!same) {
        draw();
      }
    },
    dispose: () => cards.forEach((card) => card.dispose()),
  };
}

function hasMasks(images: readonly Preview[]): boolean {
  return images.some(({ prediction, regions }) =>
    [...(prediction.regions ?? []), ...(regions ?? [])].some((region) => region.mask),
  );
}
