import assert from 'node:assert/strict';
import test from 'node:test';
import type { Event, EventPage } from '../../widgets/src/api';
import { fold, History } from '../../widgets/src/version/history';

function event(seq: number, more: Partial<Event> = {}): Event {
  return { seq, attempt: 1, step: seq, time: 0, kind: 'step', data: {}, ...more };
}

function recorded(stored: Event[]): { history: History; heard: number[]; asked: number[] } {
  const heard: number[] = [];
  const asked: number[] = [];
  const fetch = async (after: number): Promise<EventPage> => {
    asked.push(after);
    return { events: stored.filter(({ seq }) => seq > after), state: 'training' };
  };
  return { history: new History(fetch, (fresh) => heard.push(...fresh.map(({ seq }) => seq))), heard, asked };
}

test('events of the stream that come while the history loads are neither lost nor doubled', async () => {
  const { history, heard } = recorded([1, 2, 3].map((seq) => event(seq)));
  const loading = history.load();
  [2, 3, 4, 5].forEach((seq) => history.add(event(seq)));
  await loading;
  assert.deepEqual(heard, [1, 2, 3, 4, 5]);
});

test('a gap is filled from the server before what follows is heard', async () => {
  const stored = [1, 2, 3, 4].map((seq) => event(seq));
  const { history, heard, asked } = recorded(stored);
  history.add(event(1));
  history.add(event(4));
  assert.deepEqual(heard, [1]);
  await history.load();
  assert.deepEqual(heard, [1, 2, 3, 4]);
  assert.deepEqual(asked, [1]);
});

test('an event that was heard already is left out', () => {
  const { history, heard } = recorded([]);
  [1, 2, 2, 1, 3].forEach((seq) => history.add(event(seq)));
  assert.deepEqual(heard, [1, 2, 3]);
});

test('a resumed run drops the later steps of the attempt before', () => {
  const events = [
    event(1, { step: 1 }),
    event(2, { step: 2 }),
    event(3, { step: 3 }),
    event(4, { step: 0, attempt: 2, kind: 'resumed', data: { from_step: 2 } }),
    event(5, { step: 3, attempt: 2 }),
  ];
  assert.deepEqual(
    fold(events).map(({ seq }) => seq),
    [1, 2, 4, 5],
  );
});
