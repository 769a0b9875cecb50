/** The head of a version's page: its state in words and numbers, and what can be done with it. */
import type { ModelVersion } from '../api';
import { button, copyButton, progressBar } from '../controls';
import { icon } from '../icons';
import { fill, h } from '../dom';
import { ago, capitalised, duration, moment, number, percent, plural } from '../format';
import { isFinished, timeUsed } from '../parts/deletion';
import { microBatchWords, quoteWords } from './quote';
import type { Quote } from './quote';

export interface HeadActions {
  stop(): Promise<void>;
  resume(): Promise<void>;
  remove(): Promise<void>;
  predict?(): void;
}

export interface Head {
  readonly element: HTMLElement;
  update(version: ModelVersion): void;
  /** The first quote, and the newest. */
  setQuotes(quotes: [Quote, Quote] | null): void;
  /** Time goes on between two records. */
  tick(): void;
}

export function versionHead(actions: HeadActions): Head {
  let current: ModelVersion | null = null;
  let since = 0;
  const title = h('h2', { class: 'dft-title' });
  const state = h('span', { class: 'dft-badge', role: 'status', 'data-testid': 'version-state' });
  const bar = progressBar('Training', 'version-progress');
  const words = h('div', { class: 'dft-words', 'data-testid': 'version-words' });
  const used = h('div', { class: 'dft-help', 'data-testid': 'version-used' });
  const quoted = h('div', { class: 'dft-help', hidden: true, 'data-testid': 'version-quote' });
  let quotes: [Quote, Quote] | null = null;
  const reason = h('div');
  const predict = button({
    label: 'Predict',
    icon: 'image',
    kind: 'primary',
    testid: 'version-predict',
    onClick: () => actions.predict?.(),
  });
  const stop = button({
    label: 'Stop and keep the best',
    icon: 'stop',
    testid: 'version-stop',
    title: 'End early; the best checkpoint so far becomes the version’s model',
    onClick: actions.stop,
  });
  const resume = button({
    label: 'Resume',
    icon: 'play',
    kind: 'primary',
    testid: 'version-resume',
    title: 'Go on from its last checkpoint',
    onClick: actions.resume,
  });
  const remove = button({ label: 'Delete', icon: 'bin', testid: 'version-remove', onClick: actions.remove });
  const element = h(
    'header',
    { class: 'dft-head' },
    h(
      'div',
      { class: 'dft-row dft-wrap' },
      title,
      state,
      h('span', { class: 'dft-grow' }),
      predict,
      resume,
      stop,
      remove,
    ),
    bar.element,
    words,
    quoted,
    used,
    reason,
  );

  const tick = (): void => {
    if (!current) {
      return;
    }
    const running = current.started !== null && !isFinished(current);
    const passed = running ? (performance.now() - since) / 1000 : 0;
    const now = { ...current, seconds_used: current.seconds_used + passed };
    fill(
      used,
      `Time used: ${timeUsed(now)} · `,
      h('span', { title: moment(now.created) }, `created ${ago(now.created)}`),
      ` by ${now.author}`,
      now.attempt > 1 ? ` · attempt ${now.attempt}` : '',
    );
  };

  const showQuote = (): void => {
    const running = current !== null && !isFinished(current);
    const quote = quotes?.[running ? 1 : 0];
    const text = quote ? quoteWords(quote) : '';
    const pieces = quote && current ? microBatchWords(quote, current) : '';
    quoted.hidden = text === '' && pieces === '';
    quoted.title = quote?.source === 'probe' ? 'From a probe of a few steps' : 'Renewed while it runs';
    fill(
      quoted,
      text && h('span', {}, `${running ? 'It will take' : 'It was quoted'} ${text}.`),
      pieces && h('span', { 'data-testid': 'micro-batch' }, ` ${pieces}`),
    );
  };

  return {
    element,
    tick,
    setQuotes(next) {
      if (next !== quotes) {
        quotes = next;
        showQuote();
      }
    },
    update(version) {
      current = version;
      since = performance.now();
      const finished = isFinished(version);
      fill(title, h('bdi', {}, version.model), ` ${version.id}`);
      state.textContent = version.stopping && !finished ? 'stopping' : version.state;
      state.className = `dft-badge dft-badge-${version.state}`;
      bar.element.hidden = finished || version.state === 'queued';
      bar.set(version.state === 'starting' ? null : version.progress);
      words.textContent = headWords(version);
      predict.hidden = version.state !== 'trained' || !actions.predict;
      stop.hidden = finished || version.epoch < 1 || version.stopping;
      resume.hidden = !version.resumable;
      remove.hidden = version.state === 'deleted';
      const verb = finished ? 'Delete' : 'Cancel';
      remove.title = finished ? 'Delete this version' : 'Cancel the training and delete this version';
      const caption = remove.querySelector('span');
      if (caption) {
        caption.textContent = verb;
      }
      fill(reason, version.state === 'failed' ? reasonView(version) : null);
      showQuote();
      tick();
    },
  };
}

function reasonView(version: ModelVersion): HTMLElement {
  const text = version.reason || 'The job ended without saying why; its log may tell.';
  return h(
    'div',
    { class: 'dft-failure', role: 'alert', 'data-testid': 'version-reason' },
    icon('warning'),
    h('div', { class: 'dft-failure-text dft-pre' }, text),
    copyButton(
      () => `${version.owner}/${version.app}/${version.model}/${version.id} (${version.job})\n${text}`,
    ),
  );
}

function headWords(version: ModelVersion): string {
  const parts: string[] = [];
  if (version.state === 'queued') {
    const ahead = (version.queue_place ?? 1) - 1;
    parts.push(ahead > 0 ? `Waiting: ${plural(ahead, 'job')} ahead` : 'Waiting: next in the queue');
  } else if (version.state === 'starting') {
    parts.push(capitalised(version.preparing) || 'Starting the worker');
  } else if (!isFinished(version)) {
    parts.push(...[version.preparing].filter(Boolean).map(capitalised));
    parts.push(percent(version.progress), `epoch ${version.epoch} of ${version.epochs}`);
    parts.push(`step ${number(version.step)} of ${number(version.steps)}`);
    if (version.images_per_second !== null) {
      parts.push(`${number(version.images_per_second)} images/s`);
    }
    if (version.seconds_left !== null) {
      parts.push(`${duration(version.seconds_left)} left`);
    }
  } else if (version.state === 'trained') {
    const early = version.epoch < version.epochs; // by a person, early stopping or the time limit
    parts.push(
      early ? `ended in epoch ${version.epoch} of ${version.epochs}` : plural(version.epoch, 'epoch'),
    );
    parts.push(plural(version.step, 'step'));
    if (version.best_epoch !== null) {
      parts.push(`best: epoch ${version.best_epoch}`);
    }
  } else if (version.state === 'deleted') {
    parts.push('Deleted. The time it used stays in the ledger.');
  }
  return capitalised(parts.join(' · '));
}
