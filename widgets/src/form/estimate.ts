/** "Estimate" beside "Train": asks the server what the training would take, and says so in place. */
import type { CreateQuote, Quote } from '../api';
import { button, messageOf, progressBar } from '../controls';
import type { Client } from '../client';
import { fill, h } from '../dom';
import { bytes, duration, number } from '../format';

const PAUSE_MILLISECONDS = 400;

export interface Estimate {
  /** The button, to stand beside "Train". */
  readonly button: HTMLButtonElement;
  /** What is found, and progress until then. */
  readonly element: HTMLElement;
  /** The form has changed: what was found is for other values, unless they are those of before again. */
  changed(): void;
  dispose(): void;
}

export interface EstimateOptions {
  client: Client;
  params: { owner: string; app: string };
  /** The training as the form has it; null where it is wrong (the form then says so). */
  read(): Promise<CreateQuote | null>;
  /** The same at once and unchecked, to see whether it is still that of the quote. */
  now(): unknown;
  onError(error: unknown): void;
}

/** "about 12 min, 2.1 GB of memory, 690 steps". */
export function estimateWords(quote: Quote): string {
  const parts = [
    quote.seconds !== null && `about ${duration(quote.seconds)}`,
    quote.memory && `${bytes(quote.memory)} of memory`,
    quote.gpu_memory && `${bytes(quote.gpu_memory)} of GPU memory`,
    quote.steps && `${number(quote.steps)} ${quote.steps === 1 ? 'step' : 'steps'}`,
    quote.cost !== null && `${number(quote.cost)} ${quote.currency}`.trim(),
  ];
  return parts.filter(Boolean).join(', ');
}

/** "Start 5 s, decoding 2 s, training 10 min, evaluation 1 min". */
export function partWords(quote: Quote): string {
  const parts = Object.entries(quote.parts).map(([name, seconds]) => `${name} ${duration(seconds)}`);
  const words = parts.join(', ');
  return words && words[0].toUpperCase() + words.slice(1);
}

export function estimate(options: EstimateOptions): Estimate {
  const { client } = options;
  let quote: Quote | null = null;
  let asked = ''; // the values that `quote` is for
  let asking = false; // until the server has taken the question, so that no second one is put
  let disposed = false;

  const action = button({
    label: 'Estimate',
    testid: 'model-estimate',
    title: 'Trains a few steps and says what the whole training would take; nothing is kept',
    onClick: () => void run(),
  });
  const cancel = button({ label: 'Cancel', testid: 'estimate-cancel', onClick: () => void giveUp() });
  const bar = progressBar('Measuring what the training takes', 'estimate-progress');
  const words = h('span', { class: 'dft-grow', 'data-testid': 'estimate-words' });
  // Only words are read out, and only when they change: the bar has a role of its own. The place of the words is there
  // from the beginning, since what comes together with its place is not read out everywhere.
  const told = h('div', { class: 'dft-grow', 'aria-live': 'polite' }, words);
  const parts = h('div', { class: 'dft-help', 'data-testid': 'estimate-parts' });
  const element = h(
    'div',
    { class: 'dft-estimate', 'data-testid': 'estimate' },
    h('div', { class: 'dft-row' }, told, cancel),
    bar.element,
    parts,
  );

  const open = (): boolean => quote?.state === 'waiting' || quote?.state === 'measuring';
  const say = (text: string, ...more: HTMLElement[]): void => {
    if (words.dataset.text !== text) {
      words.dataset.text = text;
      fill(words, text, ...more);
    }
  };

  function show(): void {
    const focused = action.matches(':focus') || cancel.matches(':focus');
    bar.element.hidden = cancel.hidden = !open();
    action.disabled = open() || asking;
    parts.hidden = quote?.state !== 'done';
    if (focused) {
      (open() ? cancel : action).focus(); // the other one can have it no longer
    }
    element.classList.remove('dft-stale', 'dft-fault');
    if (quote === null) {
      say('');
    } else if (quote.state === 'waiting') {
      say(quote.reason || 'Waiting for the machine …');
      bar.set(null);
    } else if (quote.state === 'measuring') {
      say('Measuring a few steps …');
      bar.set(quote.progress);
    } else if (quote.state === 'done') {
      const stale = JSON.stringify(options.now()) !== asked;
      element.classList.toggle('dft-stale', stale);
      say(`${stale ? 'For other values: ' : 'It will take '}${estimateWords(quote)}.`);
      fill(parts, partWords(quote));
    } else {
      element.classList.add('dft-fault');
      say(quote.reason ? `It could not be estimated. ${quote.reason}` : 'The estimate was cancelled.');
    }
  }

  show();

  const params = (id: string): { owner: string; app: string; quote: string } => ({
    ...options.params,
    quote: id,
  });

  async function run(): Promise<void> {
    if (asking || open()) {
      return;
    }
    asking = true;
    try {
      const body = await options.read();
      if (body === null || disposed) {
        return;
      }
      asked = JSON.stringify(options.now());
      quote = await client.call('create_quote', { params: options.params, body });
      asking = false;
      show();
      await follow();
    } catch (error) {
      quote = null;
      options.onError(error);
    } finally {
      asking = false;
      show();
    }
  }

  /** Asks how far it is until it is over. */
  async function follow(): Promise<void> {
    while (quote !== null && open() && !disposed) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
      if (!open() || disposed) {
        return;
      }
      const now = await client.call('quote', { params: params(quote.id) });
      if (open()) {
        quote = now; // it was not cancelled meanwhile
        show();
      }
    }
  }

  async function giveUp(): Promise<void> {
    if (quote === null) {
      return;
    }
    try {
      quote = await client.call('delete_quote', { params: params(quote.id) });
      show();
    } catch (error) {
      quote = null;
      show();
      options.onError(new Error(`The estimate could not be cancelled: ${messageOf(error)}`));
    }
  }

  return {
    button: action,
    element,
    changed() {
      if (quote?.state === 'done') {
        show();
      }
    },
    dispose() {
      disposed = true;
      if (quote !== null && open()) {
        void client.call('delete_quote', { params: params(quote.id) }).catch(() => undefined);
      }
    },
  };
}
