/** What is drawn over a picture: regions that are true and regions that were found, in one form; and what lies where. */
import type { FoundRegion, Mask, Region } from '../api';
import { percent, score } from '../format';
import { bitmapOf, coverage } from './mask';

export interface Shape {
  key: string;
  kind: 'box' | 'polygon' | 'mask' | 'point';
  concept: string;
  box: [number, number, number, number];
  polygons: number[][];
  mask: Mask | null;
  ignored: boolean;
  /** How sure a model is; null: a person put it. */
  value: number | null;
  /** Drawn thin and broken: the truth behind what was found. */
  faint?: boolean;
}

export interface Size {
  width: number;
  height: number;
}

export interface Rect extends Size {
  x: number;
  y: number;
}

const NEAR_POINT = 8; // screen pixels around a point that count as it
const NEAR_EDGE = 3;

export function shapesOfRegions(regions: readonly Region[] | undefined): Shape[] {
  return (regions ?? []).map((region, index) => ({
    key: region.id ? `r${region.id}` : `n${index}`,
    kind: region.kind ?? 'box',
    concept: region.concept ?? '',
    box: region.box,
    polygons: region.polygons ?? [],
    mask: region.mask ?? null,
    ignored: region.ignored ?? false,
    value: null,
  }));
}

export function shapesOfFound(found: readonly FoundRegion[] | undefined): Shape[] {
  return (found ?? []).map((region, index) => ({
    key: `f${index}`,
    kind: region.mask ? 'mask' : 'box',
    concept: region.concept,
    box: region.box,
    polygons: [],
    mask: region.mask ?? null,
    ignored: false,
    value: region.value,
  }));
}

/** What a shape is called beside it: "RBC 0.93", "RBC", "ignored". */
export function shapeName(shape: Shape): string {
  const words = [shape.concept || (shape.ignored ? '' : '(no concept)')];
  if (shape.ignored) {
    words.push('ignored');
  }
  if (shape.value !== null) {
    words.push(score(shape.value).slice(0, -1));
  }
  return words.filter(Boolean).join(' ');
}

/** How large a shape is, in words: a box in pixels, a mask as a share of the picture. */
export function shapeExtent(shape: Shape, picture: Size): string {
  const [left, top, right, bottom] = shape.box;
  const at = (fraction: number, side: number): number => Math.round(fraction * side);
  if (shape.kind === 'point') {
    return `at ${at(left, picture.width)}, ${at(top, picture.height)}`;
  }
  if (shape.mask) {
    const share = coverage(shape.mask);
    return share > 0 && share < 0.01 ? 'below 1 %' : percent(share);
  }
  return `${at(right - left, picture.width)} × ${at(bottom - top, picture.height)} px`;
}

/** Where a picture lies in a frame that shows it whole. */
export function containedRect(frame: Size, picture: Size): Rect {
  const scale = Math.min(
    frame.width / Math.max(1, picture.width),
    frame.height / Math.max(1, picture.height),
  );
  const width = picture.width * scale;
  const height = picture.height * scale;
  return { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height };
}

/** The smallest shape at a place of the frame, so that a cell on top of a large region can be pointed at. */
export function shapeAt(shapes: readonly Shape[], rect: Rect, x: number, y: number): Shape | null {
  const place = { x: (x - rect.x) / rect.width, y: (y - rect.y) / rect.height };
  let best: Shape | null = null;
  let least = Infinity;
  for (const shape of shapes) {
    const area = shape.kind === 'point' ? 0 : areaOf(shape.box);
    if (area < least && touches(shape, rect, place)) {
      best = shape;
      least = area;
    }
  }
  return best;
}

function touches(shape: Shape, rect: Rect, place: { x: number; y: number }): boolean {
  const [left, top, right, bottom] = shape.box;
  if (shape.kind === 'point') {
    return Math.hypot((place.x - left) * rect.width, (place.y - top) * rect.height) <= NEAR_POINT;
  }
  const dx = NEAR_EDGE / rect.width;
  const dy = NEAR_EDGE / rect.height;
  if (place.x < left - dx || place.x > right + dx || place.y < top - dy || place.y > bottom + dy) {
    return false;
  }
  if (shape.kind === 'polygon' && shape.polygons.length > 0) {
    return shape.polygons.some((ring) => inside(ring, place));
  }
  if (shape.mask) {
    const { width, height, bits } = bitmapOf(shape.mask);
    const column = Math.floor(place.x * width);
    const row = Math.floor(place.y * height);
    return column >= 0 && column < width && row >= 0 && row < height && bits[row * width + column] === 1;
  }
  return true;
}

/** Even-odd rule: a ray to the right crosses the ring an odd number of times. */
function inside(ring: readonly number[], { x, y }: { x: number; y: number }): boolean {
  let odd = false;
  for (let at = 0, before = ring.length - 2; at + 1 < ring.length; before = at, at += 2) {
    const [x1, y1, x2, y2] = [ring[at], ring[at + 1], ring[before], ring[before + 1]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) {
      odd = !odd;
    }
  }
  return odd;
}

function areaOf([left, top, right, bottom]: Shape['box']): number {
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}
