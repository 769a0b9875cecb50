/**
 * Masks: COCO's compressed run lengths, read into a small bitmap.
 *
 * The text holds numbers in base 32, lowest digit first; bit 5 of a digit says that another follows, bit 4 of the last
 * one is the sign. From the fourth on a number is the difference to the run two before. Runs go down the columns and begin
 * with pixels outside (Lin et al., Microsoft COCO, arXiv:1405.0312, and its annotation format).
 */
import type { Mask } from '../api';

const ZERO = 48; // code of the digit 0
const LARGEST_SIDE = 512; // a mask is drawn over a picture on a screen: more pixels would not be seen

/** A mask in memory: 1 inside, row by row; `scale` pixels of the mask make one of the bitmap. */
export interface Bitmap {
  width: number;
  height: number;
  scale: number;
  bits: Uint8Array;
}

const bitmaps = new WeakMap<Mask, Bitmap>();

/** Lengths of the runs: outside, inside, outside, ... */
export function runLengths(counts: string): number[] {
  const runs: number[] = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let weight = 1;
    for (;;) {
      const digit = counts.charCodeAt(at) - ZERO;
      at += 1;
      value += (digit & 31) * weight;
      weight *= 32;
      if (!(digit & 32) || at >= counts.length) {
        value -= digit & 16 ? weight : 0;
        break;
      }
    }
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/** Share of the pixels that are inside. */
export function coverage(mask: Mask): number {
  const inside = runLengths(mask.counts).reduce((sum, run, index) => sum + (index % 2 ? run : 0), 0);
  return inside / Math.max(1, mask.height * mask.width);
}

/** The mask as a bitmap of at most 512 pixels a side, kept with the mask. */
export function bitmapOf(mask: Mask): Bitmap {
  let bitmap = bitmaps.get(mask);
  if (!bitmap) {
    bitmap = decode(mask);
    bitmaps.set(mask, bitmap);
  }
  return bitmap;
}

function decode(mask: Mask): Bitmap {
  const scale = Math.max(1, Math.ceil(Math.max(mask.width, mask.height) / LARGEST_SIDE));
  const width = Math.ceil(mask.width / scale);
  const height = Math.ceil(mask.height / scale);
  const bits = new Uint8Array(width * height);
  let start = 0;
  runLengths(mask.counts).forEach((run, index) => {
    const end = Math.min(start + run, mask.width * mask.height);
    if (index % 2 === 1 && run > 0) {
      fillRun(bits, { start, end, rows: mask.height, scale, width });
    }
    start = Math.max(0, end);
  });
  return { width, height, scale, bits };
}

/** Sets the pixels of one run that the bitmap keeps: every `scale`-th column and row. */
function fillRun(
  bits: Uint8Array,
  run: { start: number; end: number; rows: number; scale: number; width: number },
): void {
  const { start, end, rows, scale, width } = run;
  const firstColumn = Math.floor(start / rows);
  const lastColumn = Math.floor((end - 1) / rows);
  for (let column = Math.ceil(firstColumn / scale) * scale; column <= lastColumn; column += scale) {
    const top = Math.max(0, start - column * rows);
    const bottom = Math.min(rows, end - column * rows);
    for (let row = Math.ceil(top / scale) * scale; row < bottom; row += scale) {
      bits[(row / scale) * width + column / scale] = 1;
    }
  }
}
