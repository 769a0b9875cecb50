/** One line of a version: name, progress bar, what it says now, and ✕. The sidebar and lists draw it. */
import type { ModelVersion } from '../api';
import type { Context } from '../context';
import { button, progressBar } from '../controls';
import { fill, h } from '../dom';
import { metricName, duration, moment, ago, number, percent, score } from '../format';
import { deleteVersion, isFinished } from './deletion';

export interface VersionRowOptions {
  /** Shows the app and the model too, for lists over apps. */
  full?: boolean;
  onOpen?(version: ModelVersion): void;
  /** The version was deleted or asked to stop. */
  onChange?(version: ModelVersion): void;
}

export interface VersionRow {
  readonly element: HTMLElement;
  update(version: ModelVersion): void;
  dispose(): void;
}

/** What a version says of itself in a few words. */
export function versionWords(version: ModelVersion): string {
  switch (version.state) {
    case 'queued': {
      const ahead = (version.queue_place ?? 1) - 1;
      return ahead > 0 ? `waiting: ${ahead} ahead` : 'waiting: next';
    }
    case 'starting':
      return version.preparing || 'starting';
    case 'training':
    case 'evaluating': {
      const words = [
        version.state === 'evaluating' ? 'evaluating' : `epoch ${version.epoch}/${version.epochs}`,
      ];
      if (version.images_per_second) {
        words.push(`${number(version.images_per_second)} img/s`);
      }
      if (version.stopping) {
        words.push('stopping');
      } else if (version.seconds_left !== null) {
        words.push(`${duration(version.seconds_left)} left`);
      }
      return words.join(' · ');
    }
    case 'trained':
      return bestWords(version);
    case 'failed':
      return version.reason || 'failed';
    case 'deleted':
      return 'deleted';
  }
}

function bestWords(version: ModelVersion): string {
  const value = version.metrics[version.best_metric];
  return value === undefined || value === null
    ? 'trained'
    : `${metricName(version.best_metric)} ${score(value)}`;
}

export function versionRow(
  context: Context,
  version: ModelVersion,
  options: VersionRowOptions = {},
): VersionRow {
  let current = version;
  const name = h('span', { class: 'dft-version-name' });
  const bar = progressBar('Progress');
  const figure = h('span', { class: 'dft-version-figure' });
  const words = h('span', { class: 'dft-version-words' });
  const open = h(
    'button',
    { type: 'button', class: 'dft-version-open', 'data-testid': 'version-open' },
    name,
    bar.element,
    figure,
    words,
  );
  const remove = button({
    label: 'Delete',
    icon: 'close',
    bare: true,
    testid: 'version-delete',
    onClick: async () => {
      const changed = await deleteVersion(
        context,
        current,
        element.closest<HTMLElement>('.dft-part') ?? document.body,
      );
      if (changed) {
        options.onChange?.(changed);
        update(changed);
      }
    },
  });
  const element = h('div', { class: 'dft-version-row', 'data-testid': 'version-row' }, open, remove);
  open.addEventListener('click', () => {
    if (options.onOpen) {
      options.onOpen(current);
    } else {
      context.open?.({
        kind: 'version',
        owner: current.owner,
        app: current.app,
        model: current.model,
        version: current.id,
      });
    }
  });

  function update(next: ModelVersion): void {
    current = next;
    const finished = isFinished(next);
    const label = options.full ? `${next.id} · ${next.app} · ${next.model}` : next.id;
    element.dataset.version = next.id;
    element.dataset.state = next.state;
    const dot = h('span', { class: `dft-dot dft-dot-${next.state}`, 'aria-hidden': 'true' });
    fill(name, dot, h('span', { class: 'dft-version-label' }, label));
    bar.element.hidden = finished || next.state === 'queued';
    bar.set(next.state === 'starting' ? null : next.progress);
    bar.element.setAttribute('aria-label', `Progress of ${label}`);
    const value = next.metrics[next.best_metric];
    figure.textContent = finished
      ? next.state === 'trained'
        ? score(value)
        : next.state
      : bar.element.hidden
        ? ''
        : percent(next.progress);
    words.textContent = next.state === 'trained' ? '' : versionWords(next);
    words.hidden = words.textContent === '';
    const started = next.started ?? next.created;
    open.title = `${label}: ${next.state}, ${versionWords(next)}\nCreated ${ago(started)} (${moment(started)})`;
    open.setAttribute('aria-label', `${label}: ${next.state}, ${versionWords(next)}`);
    const verb = finished ? `Delete ${next.id}` : `Cancel ${next.id}`;
    remove.title = verb;
    remove.setAttribute('aria-label', verb);
  }

  update(version);
  return { element, update, dispose: () => element.remove() };
}
