/** What a run's events add up to: series for the charts, the newest figures, and the version's own progress. */
import type { Event, ModelVersion, Preview } from '../api';
import { percent } from '../format';
import { fold } from './history';
import { quoteOf } from './quote';
import type { Quote } from './quote';

export type Metrics = Record<string, number | null>;

export interface Epoch {
  epoch: number;
  trainLoss: number | null;
  metrics: Metrics;
  byConcept: Record<string, Metrics>;
  best: boolean;
}

/** The fixed images at one evaluation. */
export interface PreviewSet {
  epoch: number;
  images: Preview[];
}

export interface Resources {
  imagesPerSecond: number | null;
  memory: number | null;
  gpuMemory: number | null;
  gpuUtilisation: number | null;
  cpu: number | null;
}

export class Run {
  steps: number[] = [];
  losses: (number | null)[] = [];
  rates: (number | null)[] = [];
  epochs: Epoch[] = [];
  resources: Resources | null = null;
  warnings: string[] = [];
  previews: PreviewSet[] = [];
  /** The first quote, and the newest. */
  quotes: [Quote, Quote] | null = null;
  checkpoint: { epoch: number | null; time: number } | null = null;
  started: Record<string, unknown> | null = null;
  attempt = 0;

  /** Takes new events in; `all` is the whole history, for a run that was resumed. */
  take(fresh: Event[], all: Event[]): void {
    if (fresh.some((event) => event.kind === 'resumed')) {
      this.steps = [];
      this.losses = [];
      this.rates = [];
      this.epochs = [];
      this.warnings = [];
      this.previews = [];
      fold(all).forEach((event) => this.add(event));
    } else {
      fresh.forEach((event) => this.add(event));
    }
  }

  get best(): Epoch | null {
    for (let index = this.epochs.length - 1; index >= 0; index -= 1) {
      if (this.epochs[index].best) {
        return this.epochs[index];
      }
    }
    return null;
  }

  private add(event: Event): void {
    const data = event.data;
    this.attempt = event.attempt;
    switch (event.kind) {
      case 'started':
        this.started = data;
        break;
      case 'step':
        this.steps.push(event.step);
        this.losses.push(numeric(data['loss']));
        this.rates.push(numeric(data['lrate']));
        this.resources = {
          imagesPerSecond: numeric(data['images_per_second']),
          memory: numeric(data['memory']),
          gpuMemory: numeric(data['gpu_memory']),
          gpuUtilisation: numeric(data['gpu_utilisation']),
          cpu: numeric(data['cpu']),
        };
        break;
      case 'epoch':
        this.epochs.push({
          epoch: Number(data['epoch']),
          trainLoss: numeric(data['train_loss']),
          metrics: (data['metrics'] ?? {}) as Metrics,
          byConcept: (data['metrics_by_concept'] ?? {}) as Record<string, Metrics>,
          best: data['best'] === true,
        });
        break;
      case 'preview': {
        const epoch = Number(data['epoch']);
        const images = (data['images'] ?? []) as Preview[];
        this.previews = [...this.previews.filter((set) => set.epoch !== epoch), { epoch, images }];
        break;
      }
      case 'quote':
        this.quotes = [this.quotes?.[0] ?? quoteOf(event), quoteOf(event)];
        break;
      case 'checkpoint':
        this.checkpoint = { epoch: numeric(data['epoch']), time: event.time };
        break;
      case 'warning':
        this.warnings.push(String(data['message'] ?? ''));
        break;
    }
  }
}

/** The version as it stands after an event, so that a bar need not wait for the server's own record. */
export function advance(version: ModelVersion, event: Event): ModelVersion {
  if (event.seq <= version.last_seq || version.state === 'failed' || version.state === 'deleted') {
    return version;
  }
  const next: ModelVersion = { ...version, last_seq: event.seq, attempt: event.attempt };
  const data = event.data;
  if (event.kind === 'started') {
    next.state = 'training';
    next.preparing = '';
    next.steps = Number(data['steps'] ?? version.steps);
    next.epochs = Number(data['epochs'] ?? version.epochs);
    next.started = version.started ?? event.time;
  } else if (event.kind === 'preparing') {
    next.preparing = `${String(data['what'])}: ${percent(Number(data['share']))}`;
  } else if (event.kind === 'step') {
    next.preparing = '';
    next.state = version.state === 'trained' ? version.state : 'training';
    next.step = event.step;
    next.epoch = Number(data['epoch'] ?? version.epoch);
    next.images_per_second = numeric(data['images_per_second']);
    next.seconds_left = numeric(data['seconds_left']);
    next.progress = next.steps > 0 ? event.step / next.steps : version.progress;
  } else if (event.kind === 'stopping') {
    next.stopping = true;
  }
  return next;
}

function numeric(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
