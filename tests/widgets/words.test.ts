import assert from 'node:assert/strict';
import test from 'node:test';
import { call, literal } from '../../widgets/src/form/python';
import { bytes, duration, number, percent } from '../../widgets/src/format';
import { labelsAfter } from '../../widgets/src/gallery/edits';
import { fitting } from '../../widgets/src/gallery/tile';
import { Selection } from '../../widgets/src/gallery/selection';
import { parseMetadata, parsePair } from '../../widgets/src/metadata';
import type { Input } from '../../widgets/src/api';

test('numbers have at most three digits that mean something', () => {
  assert.deepEqual([0, 0.95477, 12.345, 1234.5, 0.00001953, null].map(number), ['0', '0.955', '12.3', '1,235', '1.95e-5', '–']);
  assert.deepEqual([0.999, 1].map(percent), ['99 %', '100 %']);
  assert.deepEqual([42, 720, 4000].map(duration), ['42 s', '12 min', '67 min']);
  assert.equal(bytes(4_470_000_000), '4.47 GB');
});

test('a tile shows as many chips as can be read, and at least one', () => {
  assert.equal(fitting([]), 0);
  assert.equal(fitting(['a name that is far too long for any tile']), 1);
  assert.equal(fitting(['a name that is far too long for any tile', 'b']), 1);
  assert.equal(fitting(['ant', 'bee']), 2);
  assert.equal(fitting(['Platelets 2', 'RBC 17', 'WBC 1']), 1);
  assert.equal(fitting(['RBC 9', 'W 1']), 2);
});

test('values are written as Python reads them', () => {
  assert.equal(literal({ a: [1, true, null, 'it\'s "x"\n'] }), '{"a": [1, True, None, "it\'s \\"x\\"\\n"]}');
  assert.equal(call('app.create_model', ['m'], [['num_epochs', 3]]), 'app.create_model("m", num_epochs=3)');
});

test('metadata that is no object is refused with a reason', () => {
  assert.deepEqual(parseMetadata(''), { value: {}, reason: '' });
  for (const text of ['[1]', '3', 'null', '{', '"x"']) {
    const { value, reason } = parseMetadata(text);
    assert.equal(value, null);
    assert.notEqual(reason, '');
  }
  assert.deepEqual(parsePair('camera=left'), { key: 'camera', value: 'left' });
  assert.deepEqual(parsePair('count = 3'), { key: 'count', value: 3 });
  assert.equal(parsePair('camera'), null);
});

test('a label replaces the one that the concept had', () => {
  const labels = [{ concept: 'b', positive: true }];
  assert.deepEqual(labelsAfter(labels, 'a', 'negative'), [{ concept: 'a', positive: false }, ...labels]);
  assert.deepEqual(labelsAfter(labels, 'b', 'negative'), [{ concept: 'b', positive: false }]);
  assert.deepEqual(labelsAfter(labels, 'b', 'remove'), []);
});

test('shift extends the selection from the last input that was chosen', () => {
  const items = ['0', '1', '2', '3', '4'].map((id) => ({ id }) as Input);
  const selection = new Selection(() => undefined);
  selection.choose(items, 1);
  selection.choose(items, 3, { range: true });
  assert.deepEqual([...selection.ids], ['1', '2', '3']);
  selection.choose(items, 2, { range: true });
  assert.deepEqual([...selection.ids], ['1', '2']);
  selection.choose(items, 4, { toggle: true });
  selection.choose(items, 1, { toggle: true });
  assert.deepEqual([...selection.ids], ['2', '4']);
});
