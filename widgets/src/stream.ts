/**
 * The page's one stream of events, shared by the sidebar and every panel, although they are separate bundles.
 *
 * It reconnects with a growing pause, from the last message it read, and lets no event through twice.
 */
import type { Event, ModelVersion } from './api';
import { Client } from './client';

export interface EventData {
  job: string;
  owner: string;
  app: string;
  model: string;
  version: string;
  event: Event;
}

export interface ChangedData {
  owner: string;
  app: string;
  what: string;
}

export type StreamMessage =
  | { kind: 'hello' }
  | { kind: 'version'; data: ModelVersion }
  | { kind: 'event'; data: EventData }
  | { kind: 'changed'; data: ChangedData }
  | { kind: 'connection'; connected: boolean };

export type StreamHandler = (message: StreamMessage) => void;

const FIRST_PAUSE = 500; // milliseconds
const LONGEST_PAUSE = 15_000;
const HIDDEN = 60_000; // a tab that nobody looks at gives its connection back: a browser has six for a server
const SILENCE = 60_000; // the server sends a heartbeat more often than this

export class Stream {
  connected = false;
  private handlers = new Set<StreamHandler>();
  private cursor = '';
  private seen = new Map<string, number>();
  private abort: AbortController | null = null;
  private pause = FIRST_PAUSE;

  constructor(private client: Client) {}

  /** Hears every message from now on. The stream is open as long as somebody listens. */
  subscribe(handler: StreamHandler): () => void {
    this.handlers.add(handler);
    if (!this.abort) {
      this.abort = new AbortController();
      void this.run(this.abort.signal);
    }
    return () => {
      this.handlers.delete(handler);
      if (this.handlers.size === 0) {
        this.abort?.abort();
        this.abort = null;
        this.connected = false;
      }
    };
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.read(signal);
      } catch {
        // Whatever ended the connection, the way on is the same: wait, and connect again.
      }
      if (signal.aborted) {
        return;
      }
      this.setConnected(false);
      await (document.hidden ? untilVisible(signal) : sleep(this.pause, signal));
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    }
  }

  private async read(signal: AbortSignal): Promise<void> {
    const connection = new AbortController();
    const end = (): void => connection.abort();
    signal.addEventListener('abort', end);
    let timer = window.setTimeout(end, SILENCE);
    let hidden = 0;
    const onVisibility = (): void => {
      window.clearTimeout(hidden);
      hidden = document.hidden ? window.setTimeout(end, HIDDEN) : 0;
    };
    document.addEventListener('visibilitychange', onVisibility);
    onVisibility();
    try {
      const response = await this.client.open('events_stream', {
        query: this.cursor ? { after: this.cursor } : {},
        signal: connection.signal,
      });
      if (!response.body) {
        return;
      }
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let buffer = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          return;
        }
        window.clearTimeout(timer);
        timer = window.setTimeout(end, SILENCE);
        this.pause = FIRST_PAUSE;
        this.setConnected(true);
        const blocks = (buffer + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
        buffer = blocks.pop() ?? '';
        for (const block of blocks) {
          this.take(block);
        }
      }
    } finally {
      window.clearTimeout(timer);
      window.clearTimeout(hidden);
      document.removeEventListener('visibilitychange', onVisibility);
      signal.removeEventListener('abort', end);
      connection.abort();
    }
  }

  private take(block: string): void {
    const { id, kind, data } = parseBlock(block);
    if (id) {
      this.cursor = id;
    }
    if (kind === 'hello') {
      this.emit({ kind });
    } else if (data && kind === 'version') {
      this.emit({ kind, data: JSON.parse(data) as ModelVersion });
    } else if (data && kind === 'changed') {
      this.emit({ kind, data: JSON.parse(data) as ChangedData });
    } else if (data && kind === 'event') {
      const event = JSON.parse(data) as EventData;
      if (event.event.seq > (this.seen.get(event.job) ?? 0)) {
        this.seen.set(event.job, event.event.seq);
        this.emit({ kind, data: event });
      }
    }
  }

  private setConnected(connected: boolean): void {
    if (connected !== this.connected) {
      this.connected = connected;
      this.emit({ kind: 'connection', connected });
    }
  }

  private emit(message: StreamMessage): void {
    for (const handler of [...this.handlers]) {
      try {
        handler(message);
      } catch (error) {
        console.error('DeepFT Lab: a part failed on a message', error);
      }
    }
  }
}

interface Registry {
  [key: symbol]: Stream | undefined;
}

/** The stream of this page: whoever asks first brings the client. */
export function sharedStream(client?: Client): Stream {
  const registry = globalThis as unknown as Registry;
  const key = Symbol.for('deepft-lab');
  registry[key] ??= new Stream(client ?? new Client());
  return registry[key];
}

/** One block of server-sent events. */
export function parseBlock(block: string): { id: string; kind: string; data: string } {
  let id = '';
  let kind = 'message';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') {
      id = value;
    } else if (name === 'event') {
      kind = value;
    } else if (name === 'data') {
      data.push(value);
    }
  }
  return { id, kind, data: data.join('\n') };
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      window.clearTimeout(timer);
      resolve();
    });
  });
}

function untilVisible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!document.hidden || signal.aborted) {
        document.removeEventListener('visibilitychange', look);
        resolve();
      }
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}
