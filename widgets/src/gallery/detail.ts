/** One input in full: picture, concepts, datasets, metadata, and the history of its labels. */
import type { Annotation, Concept, Input, Region } from '../api';
import { combobox } from '../combobox';
import { button, failure, loading } from '../controls';
import type { AppTarget, Context } from '../context';
import { fill, h } from '../dom';
import { ago, bytes, moment } from '../format';
import { parseMetadata } from '../metadata';
import type { Visibility } from '../regions/visibility';
import { detailRegions } from './regions';
import type { LabelAction } from './edits';
import { chip, pictureOf } from './tile';

export interface DetailActions {
  label(input: Input, concept: string, action: LabelAction): void;
  metadata(input: Input, changes: Record<string, unknown>): void;
  removeRegion(input: Input, region: Region): void;
  undo(): void;
  step(by: number): void;
  /** The large view takes the whole gallery. */
  enlarge(large: boolean): void;
  close(): void;
}

export interface Detail {
  readonly element: HTMLElement;
  /** The input that is shown; null: the view is closed. */
  readonly shown: string | null;
  show(id: string): void;
  refresh(): void;
  /** Other regions are to be seen now. */
  drawRegions(): void;
  hide(): void;
  setChoices(concepts: Concept[]): void;
}

export function inputDetail(
  context: Context,
  target: AppTarget,
  visible: Visibility,
  actions: DetailActions,
): Detail {
  let shown: string | null = null;
  let input: Input | null = null;
  let turn = 0;
  const name = h('bdi', { class: 'dft-detail-name' });
  const picture = h('div', { class: 'dft-detail-picture' });
  const regions = detailRegions(visible, (region) => input && actions.removeRegion(input, region));
  let large = false;
  const facts = h('div', { class: 'dft-help' });
  const labels = h('div', { class: 'dft-chips dft-chips-all' });
  const datasets = h('div', { class: 'dft-chips dft-chips-all' });
  const add = combobox({
    label: 'Add a concept',
    placeholder: 'Add concept',
    create: true,
    testid: 'detail-add-concept',
    onPick: (concept) => input && actions.label(input, concept, 'positive'),
  });
  const metadata = h('textarea', {
    class: 'dft-input dft-code',
    rows: 3,
    spellcheck: 'false',
    'aria-label': 'Metadata: a JSON object',
    'data-testid': 'detail-metadata',
  });
  const fault = h('span', { class: 'dft-fault', role: 'alert' });
  const saveMetadata = button({
    label: 'Save metadata',
    testid: 'detail-metadata-save',
    onClick: () => {
      const { value, reason } = parseMetadata(metadata.value);
      fill(fault, reason);
      if (input && value) {
        const gone = Object.keys(input.metadata).filter((key) => !(key in value));
        actions.metadata(input, { ...value, ...Object.fromEntries(gone.map((key) => [key, null])) });
        saveMetadata.hidden = true;
      }
    },
  });
  metadata.addEventListener('input', () => {
    saveMetadata.hidden = false;
    fill(fault, parseMetadata(metadata.value).reason);
  });
  const history = h('ol', { class: 'dft-history' });
  const state = h('div');
  const rest = h(
    'div',
    { class: 'dft-detail-rest' },
    facts,
    regions.element,
    h('h3', {}, 'Concepts'),
    labels,
    add.element,
    h('h3', {}, 'Datasets'),
    datasets,
    h('h3', {}, 'Metadata'),
    metadata,
    fault,
    saveMetadata,
    h('h3', {}, 'History'),
    history,
  );
  const body = h('div', { class: 'dft-detail-body' }, picture, rest);
  const setLarge = (next: boolean): void => {
    large = next;
    enlarge.setAttribute('aria-pressed', String(large));
    element.classList.toggle('dft-large', large);
    regions.setLarge(large);
    actions.enlarge(large);
  };
  const enlarge = button({
    label: 'Large view (E)',
    icon: 'enlarge',
    bare: true,
    testid: 'detail-enlarge',
    onClick: () => setLarge(!large),
  });
  const element = h(
    'aside',
    {
      class: 'dft-detail',
      hidden: true,
      tabindex: -1,
      'aria-label': 'Details of the input',
      'data-testid': 'gallery-detail',
    },
    h(
      'div',
      { class: 'dft-row' },
      button({ label: 'Previous input', icon: 'previous', bare: true, onClick: () => actions.step(-1) }),
      button({ label: 'Next input', icon: 'next', bare: true, onClick: () => actions.step(1) }),
      h('span', { class: 'dft-grow' }, name),
      enlarge,
      button({
        label: 'Close the details',
        icon: 'close',
        bare: true,
        testid: 'detail-close',
        onClick: actions.close,
      }),
    ),
    state,
    body,
  );
  element.addEventListener('keydown', (event) => {
    const typing = event.target instanceof Element && event.target.matches('input, textarea');
    if (event.key === 'Escape') {
      event.stopPropagation();
      if (large) {
        setLarge(false);
      } else {
        actions.close();
      }
    } else if (!typing && onKey(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  picture.addEventListener('dblclick', () => setLarge(!large));

  const onKey = (event: KeyboardEvent): boolean => {
    const chord = event.ctrlKey || event.metaKey;
    if (event.key === 'z' && chord) {
      actions.undo();
    } else if (chord || event.altKey) {
      return false;
    } else if (event.key === 'e') {
      setLarge(!large);
    } else if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
      actions.step(event.key === 'ArrowRight' ? 1 : -1);
    } else {
      return visible.key(event);
    }
    return true;
  };

  const draw = (next: Input, entries: Annotation[]): void => {
    if (input?.id !== next.id) {
      fill(picture, pictureOf(context.client, target, next, 'picture'), regions.overlay);
      saveMetadata.hidden = true;
    }
    input = next;
    regions.set(next);
    name.textContent = next.name;
    name.title = next.name;
    fill(
      facts,
      `${next.width} × ${next.height} · ${next.format} · ${bytes(next.bytes)} · `,
      h('span', { title: moment(next.created) }, ago(next.created)),
      ` by ${next.author}`,
    );
    const tool = (
      concept: string,
      action: LabelAction,
      label: string,
      icon: 'close' | 'minus' | 'add',
    ): HTMLElement =>
      button({ label, icon, bare: true, onClick: () => actions.label(next, concept, action) });
    fill(
      labels,
      ...next.labels.map((label) =>
        chip(
          label,
          label.positive
            ? tool(label.concept, 'negative', `Mark ${label.concept} as absent`, 'minus')
            : tool(label.concept, 'positive', `Mark ${label.concept} as present`, 'add'),
          tool(label.concept, 'remove', `Take ${label.concept} off`, 'close'),
        ),
      ),
      next.labels.length === 0 && h('span', { class: 'dft-hint' }, 'none'),
    );
    fill(
      datasets,
      ...next.datasets.map((id) => h('span', { class: 'dft-chip' }, id)),
      next.datasets.length === 0 && h('span', { class: 'dft-hint' }, 'none'),
    );
    if (saveMetadata.hidden) {
      metadata.value = Object.keys(next.metadata).length > 0 ? JSON.stringify(next.metadata, null, 2) : '';
      metadata.placeholder = '{}';
      fill(fault);
    }
    const verbs = { positive: 'put on', negative: 'marked absent', remove: 'taken off' };
    fill(
      history,
      ...[...entries]
        .reverse()
        .map((entry) =>
          h(
            'li',
            { title: moment(entry.created) },
            h('bdi', {}, entry.concept),
            ` ${entry.region ? regionWords(entry) : verbs[entry.action]} `,
            h('span', { class: 'dft-hint' }, `${ago(entry.created)} by ${entry.author}`),
          ),
        ),
      entries.length === 0 && h('li', { class: 'dft-hint' }, 'No labels yet'),
    );
  };

  const refresh = async (): Promise<void> => {
    turn += 1;
    const mine = turn;
    const id = shown;
    if (id === null) {
      return;
    }
    if (input?.id !== id) {
      body.hidden = true;
      name.textContent = '';
      fill(state, loading());
    }
    try {
      const detail = await context.client.call('input', {
        params: { owner: target.owner, app: target.app, input: id },
      });
      if (mine === turn) {
        fill(state);
        body.hidden = false;
        draw(detail.input, detail.history);
      }
    } catch (error) {
      if (mine === turn) {
        body.hidden = true;
        fill(
          state,
          failure(error, () => void refresh()),
        );
      }
    }
  };

  return {
    element,
    get shown() {
      return shown;
    },
    show(id) {
      shown = id;
      element.hidden = false;
      void refresh();
    },
    refresh: () => void refresh(),
    drawRegions: regions.draw,
    hide() {
      shown = null;
      input = null;
      if (large) {
        setLarge(false);
      }
      element.hidden = true;
    },
    setChoices(concepts) {
      add.setChoices(concepts.map((concept) => ({ value: concept.name })));
    },
  };
}

function regionWords(entry: Annotation): string {
  const region = entry.region?.ignored ? 'ignored region' : (entry.region?.kind ?? 'box');
  return `${region} ${entry.action === 'remove' ? 'deleted' : 'put on'}`;
}
