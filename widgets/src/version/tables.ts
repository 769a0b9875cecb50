/** Figures, the table by concept, resources and the configuration of a version. */
import type { ModelVersion } from '../api';
import { copyButton, failure, loading } from '../controls';
import { icon } from '../icons';
import type { Context, VersionTarget } from '../context';
import { fill, h } from '../dom';
import type { Child } from '../dom';
import { ago, bytes, metricName, moment, number, score } from '../format';
import { isFinished } from '../parts/deletion';
import type { Metrics, Run } from './run';

export function figure(value: string, name: string, title?: string): HTMLElement {
  return h('div', { class: 'dft-figure', title }, h('b', {}, value), h('span', {}, name));
}

/** The metrics that count now: the version's own once it has them, else the best epoch's so far. */
export function currentMetrics(
  version: ModelVersion,
  run: Run,
): { metrics: Metrics; byConcept: Record<string, Metrics>; epoch: number | null } {
  if (version.state === 'trained' && Object.keys(version.metrics).length > 0) {
    return { metrics: version.metrics, byConcept: version.metrics_by_concept, epoch: version.best_epoch };
  }
  const epoch = run.best ?? run.epochs[run.epochs.length - 1];
  return epoch
    ? { metrics: epoch.metrics, byConcept: epoch.byConcept, epoch: epoch.epoch }
    : { metrics: {}, byConcept: {}, epoch: null };
}

export function metricFigures(element: HTMLElement, version: ModelVersion, run: Run): void {
  const { metrics, epoch } = currentMetrics(version, run);
  // what the data has nothing of, such as small boxes, is left out
  const names = Object.keys(metrics).filter((name) => metrics[name] !== null);
  element.hidden = names.length === 0;
  const title = epoch === null ? '' : `of epoch ${epoch}, on the validation inputs`;
  const which = isFinished(version) ? 'best epoch' : run.best ? 'best epoch so far' : 'epoch so far';
  fill(
    element,
    epoch !== null && figure(String(epoch), which, 'The epoch of these figures; its checkpoint is kept'),
    ...names.map((name) => figure(score(metrics[name]), figureName(name), `${metricName(name)} ${title}`)),
  );
}

export function conceptTable(element: HTMLElement, version: ModelVersion, run: Run): void {
  const { byConcept, epoch } = currentMetrics(version, run);
  const concepts = Object.keys(byConcept).sort((a, b) => a.localeCompare(b));
  element.hidden = concepts.length === 0;
  if (concepts.length === 0) {
    fill(element);
    return;
  }
  const columns = [...new Set(concepts.flatMap((concept) => Object.keys(byConcept[concept])))];
  const counts = new Set(
    columns.filter((name) => isCount(concepts.map((concept) => byConcept[concept][name]))),
  );
  fill(
    element,
    h('h3', {}, `By concept${epoch === null ? '' : `, epoch ${epoch}`}`),
    h(
      'div',
      { class: 'dft-scroll' },
      h(
        'table',
        { class: 'dft-table', 'data-testid': 'concept-table' },
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'Concept'),
            ...columns.map((name) => h('th', { scope: 'col' }, metricName(name))),
          ),
        ),
        h(
          'tbody',
          {},
          ...concepts.map((concept) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, h('bdi', {}, concept)),
              ...columns.map((name) => h('td', {}, cell(byConcept[concept][name], counts.has(name)))),
            ),
          ),
        ),
      ),
    ),
  );
}

export function resourceFigures(element: HTMLElement, { resources, started, checkpoint }: Run): void {
  element.hidden = resources === null && started === null;
  const shown: Child[] = [];
  if (resources) {
    const { imagesPerSecond, memory, cpu, gpuMemory, gpuUtilisation } = resources;
    shown.push(imagesPerSecond !== null && figure(number(imagesPerSecond), 'images/s'));
    shown.push(memory !== null && figure(bytes(memory), 'memory', 'Memory of the job’s processes'));
    shown.push(cpu !== null && figure(number(cpu), 'CPU cores', 'CPU cores kept busy'));
    shown.push(gpuMemory !== null && figure(bytes(gpuMemory), 'GPU memory'));
    shown.push(gpuUtilisation !== null && figure(`${number(gpuUtilisation * 100)} %`, 'GPU in use'));
  }
  if (started) {
    const ranks = Number(started['ranks'] ?? 1);
    shown.push(figure(String(started['device'] ?? '–'), ranks > 1 ? `device, ${ranks} ranks` : 'device'));
    shown.push(figure(String(started['precision'] ?? '–'), 'precision'));
    shown.push(figure(number(Number(started['train'])), 'training inputs'));
    shown.push(figure(number(Number(started['validation'])), 'validation inputs'));
  }
  if (checkpoint) {
    const epoch = checkpoint.epoch === null ? ago(checkpoint.time) : `epoch ${checkpoint.epoch}`;
    shown.push(figure(epoch, 'last checkpoint', `${ago(checkpoint.time)} (${moment(checkpoint.time)})`));
  }
  fill(element, h('h3', {}, 'Resources'), h('div', { class: 'dft-figures dft-small' }, ...shown));
}

export function warningList(element: HTMLElement, version: ModelVersion, run: Run): void {
  const warnings = [...new Set([...version.warnings, ...run.warnings])].filter(Boolean);
  element.hidden = warnings.length === 0;
  fill(
    element,
    ...warnings.map((text) =>
      h('div', { class: 'dft-warning', role: 'note' }, icon('warning'), h('span', {}, text)),
    ),
  );
}

/** The complete spec of the job, asked for when it is opened. */
export function configuration(context: Context, target: VersionTarget): HTMLDetailsElement {
  const body = h('div');
  const element = h(
    'details',
    { class: 'dft-section', 'data-testid': 'configuration' },
    h('summary', {}, 'Configuration'),
    body,
  );
  const load = async (): Promise<void> => {
    fill(body, loading());
    try {
      const spec = JSON.stringify(await context.client.call('spec', { params: target }), null, 2);
      fill(
        body,
        h(
          'div',
          { class: 'dft-row dft-end' },
          copyButton(() => spec, 'Copy', 'configuration-copy'),
        ),
        h('pre', { class: 'dft-log', tabindex: 0, 'aria-label': 'Configuration' }, spec),
      );
    } catch (error) {
      fill(
        body,
        failure(error, () => void load()),
      );
    }
  };
  element.addEventListener('toggle', () => {
    if (element.open && body.childElementCount === 0) {
      void load();
    }
  });
  return element;
}

/** A column of whole numbers beyond 1 counts something; the others are scores, or rates of any size. */
function isCount(values: (number | null | undefined)[]): boolean {
  const known = values.filter((value): value is number => value !== null && value !== undefined);
  return known.every(Number.isInteger) && known.some((value) => value > 1);
}

function cell(value: number | null | undefined, count: boolean): string {
  return count || (value !== null && value !== undefined && Math.abs(value) > 1)
    ? number(value)
    : score(value);
}

function figureName(name: string): string {
  return name === 'loss' ? 'validation loss' : metricName(name);
}
