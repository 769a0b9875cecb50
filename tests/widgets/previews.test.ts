import assert from 'node:assert/strict';
import test from 'node:test';
import type { Event, ModelVersion, Prediction, Preview } from '../../widgets/src/api';
import { metricName } from '../../widgets/src/format';
import { flipBetween, flipSummary, verdictOf } from '../../widgets/src/version/flips';
import { microBatchWords, quoteOf, quoteWords } from '../../widgets/src/version/quote';
import { Run } from '../../widgets/src/version/run';

function preview(labels: Record<string, number>, prediction: Partial<Prediction>): Preview {
  return { input: 'a', labels, regions: [], prediction: { concepts: [], regions: [], embedding: [], error: '', ...prediction } };
}

function says(concept: string, labels: Record<string, number> = { ant: 1 }): ReturnType<typeof verdictOf> {
  return verdictOf(preview(labels, { concepts: [{ concept, value: 0.9 }] }), 0.5, false);
}

test('an image flips when its likeliest concept becomes right, wrong, or another wrong one', () => {
  assert.equal(flipBetween(says('ant'), says('ant')), null);
  assert.deepEqual(flipBetween(says('bee'), says('ant')), { kind: 'right', words: 'bee → ant' });
  assert.deepEqual(flipBetween(says('ant'), says('bee')), { kind: 'wrong', words: 'ant → bee' });
  assert.deepEqual(flipBetween(says('bee'), says('fly')), { kind: 'other', words: 'bee → fly' });
  assert.deepEqual(flipBetween(says('bee', {}), says('ant', {})), { kind: 'other', words: 'bee → ant' });
});

test('what nobody labelled is neither right nor wrong', () => {
  assert.equal(says('ant', {}).right, null);
  assert.equal(says('ant', { bee: 0 }).right, null);
  assert.equal(says('bee', { bee: 0 }).right, false);
});

test('an image of a detector flips when another number of regions is found', () => {
  const found = (values: [string, number][]): ReturnType<typeof verdictOf> =>
    verdictOf(
      preview({}, { regions: values.map(([concept, value]) => ({ concept, value, box: [0, 0, 1, 1], mask: null })) }),
      0.5,
      true,
    );
  assert.equal(flipBetween(found([['RBC', 0.9]]), found([['RBC', 0.6], ['RBC', 0.4]])), null);
  assert.deepEqual(flipBetween(found([['RBC', 0.9]]), found([['WBC', 0.6]])), {
    kind: 'other',
    words: 'RBC 1 → 0, WBC 0 → 1',
  });
  assert.equal(flipBetween(found([]), found([['WBC', 0.6]]))?.words, 'WBC 0 → 1');
});

test('the flips of an epoch are summed up', () => {
  const flips = [null, { kind: 'right', words: '' }, { kind: 'right', words: '' }, { kind: 'wrong', words: '' }] as const;
  assert.equal(flipSummary(flips, 2, false), '3 of 4 flipped since epoch 2: 2 became right, 1 became wrong.');
  assert.equal(flipSummary([null], 2, false), 'No flip since epoch 2.');
});

function event(seq: number, kind: string, data: Record<string, unknown>, more: Partial<Event> = {}): Event {
  return { seq, attempt: 1, step: seq, time: 0, kind, data, ...more };
}

test('previews come from the events, and a resumed run shows no epoch twice', () => {
  const run = new Run();
  const events = [
    event(1, 'preview', { epoch: 1, images: [preview({}, {})] }, { step: 10 }),
    event(2, 'preview', { epoch: 2, images: [preview({}, {})] }, { step: 20 }),
    event(3, 'resumed', { from_step: 10 }, { step: 10, attempt: 2 }),
    event(4, 'preview', { epoch: 2, images: [] }, { step: 20, attempt: 2 }),
  ];
  events.forEach((one, index) => run.take([one], events.slice(0, index + 1)));
  assert.deepEqual(
    run.previews.map(({ epoch, images }) => [epoch, images.length]),
    [
      [1, 1],
      [2, 0],
    ],
  );
});

test('a quote is said in words, and why a batch goes through in pieces', () => {
  const quote = quoteOf(event(1, 'quote', { seconds: 720, memory: 2.1e9, gpu_memory: null, micro_batch: 16, source: 'probe' }));
  assert.equal(quoteWords(quote), 'about 12 min, 2.1 GB of memory');
  const version = { values: { batch_size: 64 } } as unknown as ModelVersion;
  assert.match(microBatchWords(quote, version), /batch of 64 .* pieces of 16/);
  assert.equal(microBatchWords({ ...quote, microBatch: 64 }, version), '');
});

test('metrics of every type are named as people write them', () => {
  assert.deepEqual(['mAP', 'AP50', 'mIoU', 'recall_at_1', 'mAP_at_R', 'knn_accuracy', 'f1_macro'].map(metricName), [
    'mAP',
    'AP50',
    'mIoU',
    'recall@1',
    'mAP@R',
    'k-NN accuracy',
    'F1 macro',
  ]);
});
