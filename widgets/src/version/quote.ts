/** The quote: what a run will take, as a probe found before it started and as it is renewed while it runs. */
import type { Event, ModelVersion } from '../api';
import { bytes, duration, number } from '../format';

export interface Quote {
  seconds: number | null;
  memory: number | null;
  gpuMemory: number | null;
  microBatch: number | null;
  source: string;
}

export function quoteOf(event: Event): Quote {
  const numeric = (name: string): number | null => {
    const value = event.data[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  };
  return {
    seconds: numeric('seconds'),
    memory: numeric('memory'),
    gpuMemory: numeric('gpu_memory'),
    microBatch: numeric('micro_batch'),
    source: String(event.data['source'] ?? ''),
  };
}

/** "about 12 min, 2.1 GB of memory". */
export function quoteWords(quote: Quote): string {
  const parts = [
    quote.seconds !== null && `about ${duration(quote.seconds)}`,
    quote.memory && `${bytes(quote.memory)} of memory`,
    quote.gpuMemory && `${bytes(quote.gpuMemory)} of GPU memory`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** Why batches go through in pieces; empty where they do not. */
export function microBatchWords(quote: Quote, version: ModelVersion): string {
  const batch = version.values['batch_size'];
  if (quote.microBatch === null || typeof batch !== 'number' || quote.microBatch >= batch) {
    return '';
  }
  return `A batch of ${number(batch)} goes through in pieces of ${number(quote.microBatch)}, so that it fits into memory; the learning rate stays that of the whole batch.`;
}
