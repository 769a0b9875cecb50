import assert from 'node:assert/strict';
import test from 'node:test';
import type { Mask } from '../../widgets/src/api';
import { hue, learnConcepts } from '../../widgets/src/colours';
import { bitmapOf, coverage, runLengths } from '../../widgets/src/regions/mask';
import { containedRect, shapeAt, shapesOfFound, shapesOfRegions } from '../../widgets/src/regions/shapes';

const SMALL: Mask = { height: 4, width: 5, counts: '522000OO2' };
const SMALL_ROWS = [
  [0, 0, 0, 0, 1],
  [0, 1, 1, 1, 0],
  [0, 1, 1, 1, 0],
  [0, 0, 0, 0, 0],
];
/** As COCO writes run lengths. */
function encode(runs: number[]): string {
  let text = '';
  runs.forEach((run, index) => {
    let value = index > 2 ? run - runs[index - 2] : run;
    for (let more = true; more; ) {
      const digit = value & 31;
      value >>= 5;
      more = digit & 16 ? value !== -1 : value !== 0;
      text += String.fromCharCode(48 + (more ? digit | 32 : digit));
    }
  });
  return text;
}

test('run lengths go down the columns and begin outside', () => {
  const { width, height, bits } = bitmapOf(SMALL);
  assert.deepEqual([width, height], [5, 4]);
  assert.deepEqual([...bits], SMALL_ROWS.flat());
  assert.equal(coverage(SMALL), 7 / 20);
});

test('long runs, falling runs and runs of nothing are read as they were written', () => {
  for (const runs of [[0, 3_000_000], [1_000_000, 31, 32, 33, 1, 2_000_000, 5], [7], [0, 1, 0, 1, 98]]) {
    assert.deepEqual(runLengths(encode(runs)), runs);
  }
});

test('a mask larger than a screen is read into a smaller bitmap of the same shape', () => {
  // a rectangle: columns 200 to 799, rows 100 to 499 of 1000 x 600
  const runs = [200 * 600 + 100];
  for (let column = 200; column < 800; column += 1) {
    runs.push(400, column < 799 ? 200 : 200 * 600 + 100);
  }
  const mask = { width: 1000, height: 600, counts: encode(runs) };
  const { width, height, bits } = bitmapOf(mask);
  assert.deepEqual([width, height], [500, 300]);
  const inside = (column: number, row: number): number => bits[row * width + column];
  assert.deepEqual([inside(99, 50), inside(100, 49), inside(399, 250), inside(400, 249)], [0, 0, 0, 0]);
  assert.deepEqual([inside(100, 50), inside(399, 249)], [1, 1]);
  assert.ok(Math.abs(coverage(mask) - 0.4) < 1e-9);
});

test('counts that are cut off or say too much neither hang nor reach outside', () => {
  for (const counts of ['', 'o', 'ooo', '0P0P0PPPP', encode([3, 1000])]) {
    const { bits } = bitmapOf({ height: 4, width: 5, counts });
    assert.equal(bits.length, 20);
  }
});

test('the smallest region at a place is the one that is pointed at', () => {
  const shapes = shapesOfRegions([
    { id: 1, concept: 'field', box: [0, 0, 1, 1] },
    { id: 2, concept: 'cell', box: [0.4, 0.4, 0.6, 0.6] },
    { id: 3, kind: 'point', concept: 'tip', box: [0.9, 0.1, 0.9, 0.1] },
    { id: 4, kind: 'polygon', concept: 'leaf', box: [0, 0.7, 0.3, 1], polygons: [[0, 1, 0.3, 1, 0, 0.7]] },
  ]);
  const rect = containedRect({ width: 200, height: 100 }, { width: 50, height: 50 });
  assert.deepEqual(rect, { x: 50, y: 0, width: 100, height: 100 });
  const at = (x: number, y: number): string | undefined => shapeAt(shapes, rect, 50 + x * 100, y * 100)?.concept;
  assert.equal(at(0.5, 0.5), 'cell');
  assert.equal(at(0.2, 0.2), 'field');
  assert.equal(at(0.88, 0.12), 'tip');
  assert.equal(at(0.05, 0.95), 'leaf');
  assert.equal(at(0.28, 0.75), 'field'); // inside the polygon's box, outside the polygon
  assert.equal(shapeAt(shapes, rect, 10, 50), null);
});

test('a mask is pointed at where it is, not where its box is', () => {
  const shapes = shapesOfFound([{ concept: 'a', value: 0.9, box: [0.2, 0, 1, 0.75], mask: SMALL }]);
  const rect = { x: 0, y: 0, width: 50, height: 40 };
  assert.equal(shapeAt(shapes, rect, 15, 15)?.concept, 'a');
  assert.equal(shapeAt(shapes, rect, 45, 25), null);
});

test('the concepts of an app have colours that can be told apart, whatever their order', () => {
  const names = ['ants', 'bees', 'RBC', 'WBC', 'Platelets', 'nucleus'];
  learnConcepts(names);
  const hues = names.map(hue);
  const gaps = hues.flatMap((a, i) => hues.slice(i + 1).map((b) => Math.min(Math.abs(a - b), 360 - Math.abs(a - b))));
  assert.ok(Math.min(...gaps) >= 20, String(hues));
  learnConcepts([...names].reverse());
  assert.deepEqual(names.map(hue), hues);
});
