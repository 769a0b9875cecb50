/** One image of the previews: what is true of it, what the model says at an epoch, and whether that flipped. */
import type { Preview } from '../api';
import type { AppTarget, Context } from '../context';
import { fill, h } from '../dom';
import { chip, pictureOf } from '../gallery/tile';
import { bar } from '../predict/card';
import { regionOverlay } from '../regions/overlay';
import { shapesOfFound, shapesOfRegions } from '../regions/shapes';
import type { Shape } from '../regions/shapes';
import type { Flip, Verdict } from './flips';

export interface PreviewLook {
  threshold: number;
  opacity: number;
  truth: 'over' | 'beside' | 'hidden';
}

export interface PreviewCard {
  readonly element: HTMLElement;
  show(preview: Preview, verdict: Verdict, flip: Flip | null, look: PreviewLook): void;
  dispose(): void;
}

const SIDE = 512;
const BARS = 3;
const MARKS: Record<Flip['kind'], string> = { right: '✓ became right', wrong: '✗ became wrong', other: '⇄' };

export function previewCard(context: Context, target: AppTarget, id: string): PreviewCard {
  const said = frameOf(context, target, id, 'What the model says');
  const truth = frameOf(context, target, id, 'What is true');
  const mark = h('span', { class: 'dft-flip', 'data-testid': 'preview-flip', hidden: true });
  const caption = h('figcaption', { class: 'dft-preview-caption' });
  said.element.append(mark);
  const element = h(
    'figure',
    { class: 'dft-preview', 'data-testid': 'preview', 'data-input': id },
    h('div', { class: 'dft-preview-pictures' }, truth.element, said.element),
    caption,
  );

  return {
    element,
    show(preview, verdict, flip, look) {
      mark.hidden = flip === null;
      mark.className = `dft-flip dft-flip-${flip?.kind ?? 'none'}`;
      mark.textContent = flip ? `${MARKS[flip.kind]} ${flip.kind === 'other' ? flip.words : ''}`.trim() : '';
      mark.title = flip?.words ?? '';
      element.classList.toggle('dft-flipped', flip !== null);
      const { regions = [], concepts = [], embedding = [] } = preview.prediction;
      const trueShapes = shapesOfRegions(preview.regions);
      const found = shapesOfFound(regions).filter((shape) => (shape.value ?? 1) >= look.threshold);
      const regional = verdict.found !== null;
      truth.element.hidden = !regional || look.truth !== 'beside';
      const behind =
        look.truth === 'over'
          ? trueShapes.map((shape) => ({ ...shape, faint: true, key: `t${shape.key}` }))
          : [];
      said.draw([...behind, ...found], look.opacity);
      truth.draw(trueShapes, look.opacity);
      if (regional) {
        fill(caption, h('span', { class: 'dft-hint' }, `${found.length} found · ${trueShapes.length} true`));
        return;
      }
      const positives = Object.entries(preview.labels ?? {}).filter(([, label]) => label === 1);
      fill(
        caption,
        h(
          'span',
          { class: 'dft-row dft-wrap' },
          h('span', { class: 'dft-hint' }, 'true:'),
          ...positives.map(([concept]) => chip({ concept, positive: true })),
          positives.length === 0 && h('span', { class: 'dft-hint' }, 'not said'),
          verdict.right !== null &&
            h(
              'span',
              { class: verdict.right ? 'dft-verdict dft-right' : 'dft-verdict dft-wrong' },
              verdict.right ? '✓ right' : '✗ wrong',
            ),
        ),
        ...concepts.slice(0, BARS).map(({ concept, value }) => bar(concept, value)),
        concepts.length === 0 &&
          embedding.length > 0 &&
          h('span', { class: 'dft-hint' }, `an embedding of ${embedding.length} numbers`),
        preview.prediction.error ? h('span', { class: 'dft-fault' }, preview.prediction.error) : null,
      );
    },
    dispose() {
      said.dispose();
      truth.dispose();
      element.remove();
    },
  };
}

function frameOf(
  context: Context,
  target: AppTarget,
  id: string,
  title: string,
): { element: HTMLElement; draw(shapes: Shape[], opacity: number): void; dispose(): void } {
  const picture = pictureOf(context.client, target, { id, name: id }, 'thumbnail', SIDE);
  const overlay = regionOverlay({ line: 1.5 });
  const element = h('div', { class: 'dft-framed dft-preview-frame', title }, picture, overlay.element);
  let last: Shape[] = [];
  const size = (): { width: number; height: number } =>
    picture instanceof HTMLImageElement && picture.naturalWidth
      ? { width: picture.naturalWidth, height: picture.naturalHeight }
      : { width: 1, height: 1 };
  picture.addEventListener('load', () => overlay.set(last, size()));
  return {
    element,
    draw(shapes, opacity) {
      last = shapes;
      overlay.look({ opacity });
      overlay.set(shapes, size());
    },
    dispose: overlay.dispose,
  };
}
