/**
 * A version's whole history: what the server has, then what the stream brings, merged by sequence number.
 *
 * Nothing is shown twice; where a number is missing the server is asked again.
 */
import type { Event, EventPage } from '../api';

const PAGE = 10_000; // a page this long may not be the last

export class History {
  readonly events: Event[] = [];
  private loading: Promise<void> | null = null;
  private early = new Map<number, Event>();

  /** `fetch` gives the events after a number; `hear` gets each event once, in order. */
  constructor(
    private fetch: (after: number) => Promise<EventPage>,
    private hear: (events: Event[]) => void,
  ) {}

  get last(): number {
    return this.events.length > 0 ? this.events[this.events.length - 1].seq : 0;
  }

  /** Asks for all that is not here yet. */
  load(): Promise<void> {
    this.loading ??= this.loadAll().finally(() => (this.loading = null));
    return this.loading;
  }

  /** An event of the stream. */
  add(event: Event): void {
    if (event.seq <= this.last) {
      return;
    }
    this.early.set(event.seq, event);
    if (!this.loading) {
      this.drain();
      if (this.early.size > 0) {
        // a gap that cannot be filled now is tried again with the next event
        this.load().catch(() => undefined);
      }
    }
  }

  private async loadAll(): Promise<void> {
    for (;;) {
      const page = await this.fetch(this.last);
      const fresh = page.events.filter((event) => event.seq > this.last);
      this.take(fresh);
      if (page.events.length < PAGE || fresh.length === 0) {
        break;
      }
    }
    this.drain();
  }

  private drain(): void {
    const fresh: Event[] = [];
    for (let next = this.last + 1; this.early.has(next); next += 1) {
      fresh.push(this.early.get(next) as Event);
      this.early.delete(next);
    }
    this.take(fresh);
    for (const seq of [...this.early.keys()]) {
      if (seq <= this.last) {
        this.early.delete(seq);
      }
    }
  }

  private take(fresh: Event[]): void {
    if (fresh.length > 0) {
      this.events.push(...fresh);
      this.hear(fresh);
    }
  }
}

const ENDINGS = ['stopping', 'finished', 'failed'];

/** The view without doubles: at each `resumed{from_step}` what was said of later steps before is dropped, from step 0 all. */
export function fold(events: Event[]): Event[] {
  let folded: Event[] = [];
  for (const event of events) {
    if (event.kind === 'resumed') {
      const from = Number(event.data['from_step'] ?? 0);
      folded = folded.filter((other) => from > 0 && other.step <= from && !ENDINGS.includes(other.kind));
    }
    folded.push(event);
  }
  return folded;
}
