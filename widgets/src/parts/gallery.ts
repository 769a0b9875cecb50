/** The inputs of an app: filter, look, select, label, and go into detail. Every change can be undone. */
import type { Input } from '../api';
import type { AppTarget, Context, Part } from '../context';
import { button, empty, failure, loading, messageOf } from '../controls';
import { notify } from '../dialogs';
import { debounce, fill, h, Scope } from '../dom';
import { plural } from '../format';
import { learnConcepts } from '../colours';
import { selectionBar } from '../gallery/bar';
import { inputDetail } from '../gallery/detail';
import { Edits, labelsAfter } from '../gallery/edits';
import type { Edit, LabelAction } from '../gallery/edits';
import { filterBar } from '../gallery/filters';
import { inputGrid } from '../gallery/grid';
import { InputList } from '../gallery/list';
import { Selection } from '../gallery/selection';
import { visibility } from '../regions/visibility';

const UNDO_DEPTH = 50;

export function gallery(host: HTMLElement, context: Context, target: AppTarget): Part {
  const scope = new Scope();
  const { client } = context;
  const params = { owner: target.owner, app: target.app };
  const edits = new Edits(client, target);
  const undoable: Edit[] = [];
  let learnt = false;
  const list = new InputList(client, target, () => onList());
  const selection = new Selection(() => onSelection());

  const filters = filterBar((query) => {
    selection.clear();
    void list.setFilter(query);
  });
  const bar = selectionBar({
    label: (concept, action) => void label(selected(), concept, action),
    dataset: (dataset, put) => void apply(selected(), (inputs) => edits.dataset(inputs, dataset, put)),
    metadata: (changes) => void apply(selected(), (inputs) => edits.metadata(inputs, changes)),
    remove: () => void remove(),
    clear: () => selection.clear(),
    open: () => openDetail(selected()[0]),
  });
  const regions = visibility(() => {
    grid.draw();
    detail.drawRegions();
  });
  const grid = inputGrid(
    context,
    target,
    list,
    selection,
    regions,
    { open: (input) => openDetail(input), remove: () => void remove(), undo: () => void undo() },
    scope,
  );
  const detail = inputDetail(context, target, regions, {
    label: (input, concept, action) => void label([input], concept, action),
    metadata: (input, changes) => void apply([input], (inputs) => edits.metadata(inputs, changes)),
    removeRegion: (input, region) => void apply([input], () => edits.removeRegion(input, region)),
    undo: () => void undo(),
    enlarge: (large) => root.classList.toggle('dft-with-large', large),
    step: (by) => {
      const at = list.items.findIndex((input) => input.id === detail.shown);
      const next = list.items[at + by];
      if (next) {
        selection.choose(list.items, at + by);
        grid.reveal(at + by);
        detail.show(next.id);
      }
    },
    close: () => {
      detail.hide();
      root.classList.remove('dft-with-detail', 'dft-with-large');
      grid.draw();
      grid.focus();
    },
  });
  const undoText = h('span', { class: 'dft-grow' });
  const undoBar = h(
    'div',
    { class: 'dft-undo', role: 'status', hidden: true, 'data-testid': 'undo-bar' },
    undoText,
    button({ label: 'Undo', icon: 'undo', testid: 'undo', title: 'Undo (Ctrl+Z)', onClick: () => undo() }),
    button({ label: 'Dismiss', icon: 'close', bare: true, onClick: () => void (undoBar.hidden = true) }),
  );
  const state = h('div', { class: 'dft-gallery-state' }, loading());
  const root = h(
    'div',
    { class: 'dft-part dft-gallery', 'data-testid': 'gallery' },
    filters.element,
    bar.element,
    regions.element,
    h(
      'div',
      { class: 'dft-gallery-body' },
      h('div', { class: 'dft-gallery-main' }, grid.element, state),
      detail.element,
    ),
    undoBar,
  );
  host.append(root);

  function selected(): Input[] {
    return list.items.filter((input) => selection.ids.has(input.id));
  }

  function onList(): void {
    if (!learnt) {
      return; // the names of all concepts come first: they decide the colours
    }
    selection.keep(list.items, list.complete);
    if (list.error && list.items.length === 0) {
      fill(
        state,
        failure(list.error, () => void list.refresh(0)),
      );
    } else if (!list.loaded) {
      fill(state, loading());
    } else if (list.total === 0) {
      fill(state, filters.active ? noMatch() : noInputs());
    } else {
      fill(state);
    }
    regions.setConcepts(countRegions(list.items));
    filters.setCount(list.loaded ? plural(list.total, 'input') : '');
    onSelection();
  }

  function onSelection(): void {
    bar.update(selected(), selection.ids.size);
    grid.draw();
    const one = selection.ids.size === 1 ? [...selection.ids][0] : null;
    if (one && detail.shown && detail.shown !== one) {
      detail.show(one);
    }
  }

  function noMatch(): HTMLElement {
    return empty('No input matches.', button({ label: 'Show all inputs', onClick: filters.clear }));
  }

  function noInputs(): HTMLElement {
    const open = context.open;
    return empty(
      'No inputs yet.',
      open &&
        button({
          label: 'Upload inputs',
          icon: 'upload',
          kind: 'primary',
          testid: 'gallery-upload',
          onClick: () => open({ kind: 'upload', ...params }),
        }),
    );
  }

  function openDetail(input: Input | undefined): void {
    if (input) {
      root.classList.add('dft-with-detail');
      detail.show(input.id);
      detail.element.focus({ preventScroll: true });
      grid.draw();
    }
  }

  async function label(inputs: Input[], concept: string, action: LabelAction): Promise<void> {
    const ids = new Set(inputs.map((input) => input.id));
    list.patch(ids, (input) => ({ ...input, labels: labelsAfter(input.labels, concept, action) }));
    await apply(inputs, (before) => edits.label(before, concept, action));
  }

  async function remove(): Promise<void> {
    const inputs = selected();
    if (inputs.length === 0) {
      return;
    }
    list.patch(new Set(selection.ids), () => null);
    selection.clear();
    await apply(inputs, (before) => edits.remove(before));
  }

  /** Makes a change, remembers its way back, and says what was done. */
  async function apply(inputs: Input[], change: (inputs: Input[]) => Promise<Edit>): Promise<void> {
    if (inputs.length === 0) {
      return;
    }
    try {
      const edit = await change(inputs);
      undoable.push(edit);
      undoable.splice(0, Math.max(0, undoable.length - UNDO_DEPTH));
      edit.warnings.forEach((warning) => notify(context, root, warning, 'warning'));
      showUndo();
    } catch (error) {
      notify(context, root, messageOf(error), 'error');
    }
    await refreshAll();
  }

  async function undo(): Promise<void> {
    const edit = undoable.pop();
    if (!edit) {
      return;
    }
    try {
      await edit.undo();
      showUndo();
    } catch (error) {
      undoable.push(edit);
      notify(context, root, `Undo failed: ${messageOf(error)}`, 'error');
    }
    await refreshAll();
  }

  function showUndo(): void {
    const last = undoable[undoable.length - 1];
    undoBar.hidden = last === undefined;
    undoText.textContent = last ? `${last.words}.` : '';
  }

  async function refreshChoices(): Promise<void> {
    const [concepts, datasets] = await Promise.all([
      client.call('concepts', { params }),
      client.call('datasets', { params }),
    ]);
    learnConcepts(concepts.map((concept) => concept.name));
    filters.setChoices(concepts, datasets);
    bar.setChoices(concepts, datasets);
    detail.setChoices(concepts);
  }

  async function refreshAll(): Promise<void> {
    if (scope.disposed) {
      return;
    }
    detail.refresh();
    await Promise.all([list.refresh(grid.end), refreshChoices().catch(() => undefined)]);
  }

  const soon = debounce(250, () => void refreshAll());
  scope.add(soon.cancel);
  scope.add(
    context.stream.subscribe((message) => {
      if (
        message.kind === 'changed' &&
        message.data.owner === target.owner &&
        message.data.app === target.app
      ) {
        if (/input|concept|dataset|annotation/.test(message.data.what)) {
          soon.call();
        }
      } else if (message.kind === 'connection' && message.connected && list.loaded) {
        soon.call(); // what changed while the stream was away
      }
    }),
  );
  void list.setFilter({});
  refreshChoices()
    .catch(() => undefined)
    .finally(() => {
      learnt = true;
      onList();
    });
  return {
    dispose() {
      scope.dispose();
      root.remove();
    },
  };
}

function countRegions(inputs: readonly Input[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { regions } of inputs) {
    for (const { concept = '' } of regions) {
      counts.set(concept, (counts.get(concept) ?? 0) + 1);
    }
  }
  return counts;
}
