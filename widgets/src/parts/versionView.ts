/**
 * A model version during and after its training: state, curves, metrics by concept, resources, log, configuration.
 *
 * The history comes from the server, then from the stream; `data-seq` of the root is the last event that was drawn.
 */
import type { Event, ModelVersion } from '../api';
import { ApiError } from '../client';
import { learnConcepts } from '../colours';
import type { Context, Part, VersionViewTarget } from '../context';
import { failure, loading, messageOf } from '../controls';
import { notify } from '../dialogs';
import { eachFrame, fill, h, Scope } from '../dom';
import { chart } from '../version/chart';
import { versionHead } from '../version/head';
import { History } from '../version/history';
import { logView } from '../version/log';
import { previewSection } from '../version/previews';
import { advance, Run } from '../version/run';
import { conceptTable, configuration, metricFigures, resourceFigures, warningList } from '../version/tables';
import { deleteVersion, isFinished } from './deletion';

export function versionView(host: HTMLElement, context: Context, target: VersionViewTarget): Part {
  const scope = new Scope();
  const params = { owner: target.owner, app: target.app, model: target.model, version: target.version };
  const { client } = context;
  const run = new Run();
  let version: ModelVersion | null = null;

  const head = versionHead({
    resume: async () => {
      try {
        setVersion(await client.call('resume_version', { params }));
      } catch (error) {
        notify(context, root, messageOf(error), 'error');
      }
    },
    stop: async () => {
      try {
        setVersion(await client.call('stop_version', { params }));
        notify(
          context,
          root,
          `${params.version} stops after this step and keeps its best checkpoint.`,
          'info',
        );
      } catch (error) {
        notify(context, root, messageOf(error), 'error');
      }
    },
    remove: async () => {
      const changed = version && (await deleteVersion(context, version, root));
      if (changed) {
        setVersion(changed);
      }
    },
    predict: context.open ? () => context.open?.({ kind: 'predict', ...params }) : undefined,
  });
  const warnings = h('div', { 'data-testid': 'version-warnings' });
  const figures = h('div', { class: 'dft-figures', 'data-testid': 'version-metrics' });
  const loss = chart({ title: 'Training loss', x: 'step', testid: 'chart-loss' });
  const rate = chart({ title: 'Learning rate', x: 'step', testid: 'chart-lrate' });
  const scores = chart({ title: 'Validation', x: 'epoch', testid: 'chart-metrics', scores: true });
  const validationLoss = chart({ title: 'Validation loss', x: 'epoch', testid: 'chart-validation-loss' });
  const charts = h(
    'div',
    { class: 'dft-charts' },
    loss.element,
    scores.element,
    validationLoss.element,
    rate.element,
  );
  const concepts = h('section', { class: 'dft-by-concept' });
  const previews = previewSection(context, params);
  scope.add(previews.dispose);
  const resources = h('section', { class: 'dft-resources', 'data-testid': 'version-resources' });
  const log = logView(context, params, scope);
  const content = h(
    'div',
    { hidden: true },
    head.element,
    warnings,
    figures,
    charts,
    previews.element,
    concepts,
    resources,
    log.element,
    configuration(context, params),
  );
  const state = h('div', {}, loading());
  const root = h(
    'article',
    { class: 'dft-part dft-version', 'data-testid': 'version-view', 'data-seq': 0 },
    state,
    content,
  );
  host.append(root);

  const history = new History(
    (after) => client.call('events', { params, query: { after } }),
    (fresh) => {
      run.take(fresh, history.events);
      if (version) {
        setVersion(fresh.reduce(advance, version));
      }
      frame.call();
    },
  );

  const frame = eachFrame(() => {
    if (!version || scope.disposed) {
      return;
    }
    charts.hidden = run.steps.length === 0 && run.epochs.length === 0;
    loss.set(run.steps, run.steps.length > 0 ? [['loss', run.losses]] : []);
    rate.set(run.steps, run.steps.length > 0 ? [['learning rate', run.rates]] : []);
    drawEpochs(version);
    warningList(warnings, version, run);
    metricFigures(figures, version, run);
    conceptTable(concepts, version, run);
    resourceFigures(resources, run);
    head.setQuotes(run.quotes);
    previews.set(run.previews, run.best?.epoch ?? version.best_epoch);
    root.dataset.seq = String(history.last);
  });

  function drawEpochs(current: ModelVersion): void {
    const xs = run.epochs.map((epoch) => epoch.epoch);
    const all = [...new Set(run.epochs.flatMap((epoch) => Object.keys(epoch.metrics)))];
    const series = (wanted: string[]): [string, (number | null)[]][] =>
      wanted.map((name) => [name, run.epochs.map((epoch) => epoch.metrics[name] ?? null)]);
    const isLoss = (name: string): boolean => /loss/.test(name);
    const measured = (name: string): boolean =>
      run.epochs.some((epoch) => typeof epoch.metrics[name] === 'number');
    const names = all.filter(measured); // the data may have no small boxes, say
    const best = run.best?.epoch ?? current.best_epoch;
    const losses = series(names.filter(isLoss));
    scores.element.hidden = names.length === 0;
    scores.set(xs, series(names.filter((name) => !isLoss(name))), best);
    validationLoss.element.hidden = losses.length === 0;
    validationLoss.set(xs, losses, best);
  }

  function setVersion(next: ModelVersion): void {
    version =
      version && !isFinished(next) && next.last_seq < version.last_seq ? keepProgress(version, next) : next;
    root.dataset.state = version.state;
    content.hidden = false;
    fill(state);
    head.update(version);
    log.setRunning(!isFinished(version));
    target.onChange?.(version);
    frame.call();
  }

  /** The app's concepts decide the colours of chips and regions; without them each name has its own. */
  const learnColours = (): Promise<void> =>
    client
      .call('concepts', { params: { owner: params.owner, app: params.app } })
      .then((concepts) => learnConcepts(concepts.map(({ name }) => name)))
      .catch(() => undefined);

  const load = async (): Promise<void> => {
    try {
      const [record] = await Promise.all([
        client.call('version', { params }),
        history.load(),
        learnColours(),
      ]);
      if (!scope.disposed) {
        learnConcepts(record.concepts);
        setVersion(history.events.reduce(advance, record));
      }
    } catch (error) {
      if (scope.disposed) {
        return;
      }
      if (error instanceof ApiError && error.code === 'NotFound' && version) {
        setVersion({ ...version, state: 'deleted' });
      } else if (!version) {
        content.hidden = true;
        fill(
          state,
          failure(error, () => void load()),
        );
      }
    }
  };

  const isMine = (owner: string, app: string, model: string, id: string): boolean =>
    owner === params.owner && app === params.app && model === params.model && id === params.version;

  scope.add(
    context.stream.subscribe((message) => {
      if (message.kind === 'version') {
        const { owner, app, model, id } = message.data;
        if (isMine(owner, app, model, id)) {
          setVersion(message.data);
          if (message.data.last_seq > history.last) {
            void history.load().catch(() => undefined);
          }
        }
      } else if (message.kind === 'event') {
        const { owner, app, model, version: id } = message.data;
        if (isMine(owner, app, model, id)) {
          history.add(message.data.event as Event);
        }
      } else if (message.kind === 'connection' && message.connected && version) {
        void load();
      }
    }),
  );
  const clock = window.setInterval(() => head.tick(), 1000);
  scope.add(() => window.clearInterval(clock));
  scope.add(frame.cancel);
  void load();

  return {
    dispose() {
      scope.dispose();
      for (const each of [loss, rate, scores, validationLoss]) {
        each.dispose();
      }
      root.remove();
    },
  };
}

/** A record that is older than the events that were seen: what the events said of progress stays. */
function keepProgress(seen: ModelVersion, record: ModelVersion): ModelVersion {
  const { step, steps, epoch, epochs, progress, images_per_second, seconds_left, last_seq } = seen;
  return { ...record, step, steps, epoch, epochs, progress, images_per_second, seconds_left, last_seq };
}
