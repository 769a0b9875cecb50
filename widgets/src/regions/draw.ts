/** Draws shapes on a canvas: a dark line under each coloured one, so that it can be seen on every picture. */
import type { Mask } from '../api';
import { labelColour, strokeColour } from '../colours';
import { h } from '../dom';
import { bitmapOf } from './mask';
import { shapeName } from './shapes';
import type { Rect, Shape } from './shapes';

export interface Look {
  /** Width of a line in screen pixels. */
  line: number;
  /** Names beside the shapes. */
  names: boolean;
  /** How much a mask covers: 0..1. */
  opacity: number;
  /** The shape that stands out; the others step back. */
  highlight: string | null;
}

const HALO = 'rgb(0 0 0 / 55%)';
const THIN = 1.5; // lines of a thumbnail, where a halo would swallow the colour
const BACK = 0.3; // opacity of what steps back
const FONT = 11;
const LABEL = 15; // height of a name's field
const POINT = 4;
const FAINT_RIM = 4; // pixels of a bitmap that is usually drawn smaller
const HATCH = 6; // pixels between the lines of an ignored region

/** The rectangle is where the picture lies on the canvas; the context's unit is a screen pixel. */
export function drawShapes(
  context: CanvasRenderingContext2D,
  rect: Rect,
  shapes: readonly Shape[],
  look: Look,
): void {
  const lit = look.highlight === null ? null : shapes.find((shape) => shape.key === look.highlight);
  // masks lie below the lines; large shapes below small ones
  const ordered = [...shapes].sort((a, b) => Number(b.kind === 'mask') - Number(a.kind === 'mask'));
  for (const shape of ordered) {
    if (shape !== lit) {
      context.globalAlpha = lit ? BACK : 1;
      drawShape(context, rect, shape, look, false);
    }
  }
  context.globalAlpha = 1;
  if (lit) {
    drawShape(context, rect, lit, look, true);
  }
  const named = lit ? [lit] : look.names ? shapes.filter((shape) => !shape.faint) : [];
  drawNames(context, rect, named);
}

function drawShape(
  context: CanvasRenderingContext2D,
  rect: Rect,
  shape: Shape,
  look: Look,
  lit: boolean,
): void {
  if (shape.mask) {
    drawMask(context, rect, shape, lit ? Math.max(look.opacity, 0.7) : look.opacity);
  }
  const path = pathOf(shape, rect);
  if (!path) {
    return;
  }
  const line = look.line + (lit ? 1.5 : 0);
  context.setLineDash(shape.ignored ? [4, 3] : shape.faint ? [2, 3] : []);
  context.lineJoin = 'round';
  if (shape.ignored) {
    hatch(context, path, rectOf(shape, rect));
  } else if (lit || shape.kind === 'polygon') {
    context.fillStyle = strokeColour(shape.concept, lit ? 0.25 : 0.12);
    context.fill(path);
  }
  context.lineWidth = line + (line < THIN ? 0.5 : 1.5);
  context.strokeStyle = HALO;
  context.stroke(path);
  context.lineWidth = line;
  context.strokeStyle = strokeColour(shape.concept);
  context.stroke(path);
  context.setLineDash([]);
}

function pathOf(shape: Shape, rect: Rect): Path2D | null {
  const path = new Path2D();
  const { x, y, width, height } = rectOf(shape, rect);
  if (shape.kind === 'point') {
    path.arc(x, y, POINT, 0, 2 * Math.PI);
    path.moveTo(x - POINT - 3, y);
    path.lineTo(x + POINT + 3, y);
    path.moveTo(x, y - POINT - 3);
    path.lineTo(x, y + POINT + 3);
  } else if (shape.kind === 'polygon' && shape.polygons.length > 0) {
    for (const ring of shape.polygons) {
      for (let at = 0; at + 1 < ring.length; at += 2) {
        path.lineTo(rect.x + ring[at] * rect.width, rect.y + ring[at + 1] * rect.height);
      }
      path.closePath();
    }
  } else if (shape.mask) {
    return null; // its edge is part of its picture
  } else {
    path.rect(x, y, width, height);
  }
  return path;
}

function rectOf(shape: Shape, rect: Rect): Rect {
  const [left, top, right, bottom] = shape.box;
  return {
    x: rect.x + left * rect.width,
    y: rect.y + top * rect.height,
    width: (right - left) * rect.width,
    height: (bottom - top) * rect.height,
  };
}

/** Slanted lines inside a path: this part counts neither for nor against. */
function hatch(context: CanvasRenderingContext2D, path: Path2D, box: Rect): void {
  context.save();
  context.clip(path);
  context.beginPath();
  for (let at = -box.height; at < box.width; at += HATCH) {
    context.moveTo(box.x + at, box.y + box.height);
    context.lineTo(box.x + at + box.height, box.y);
  }
  context.setLineDash([]);
  context.lineWidth = 1;
  context.strokeStyle = 'rgb(255 255 255 / 60%)';
  context.stroke();
  context.restore();
}

const painted = new WeakMap<Mask, Map<string, HTMLCanvasElement>>();

function drawMask(context: CanvasRenderingContext2D, rect: Rect, shape: Shape, opacity: number): void {
  const before = context.globalAlpha;
  context.globalAlpha = before * (shape.faint ? 1 : opacity);
  context.drawImage(paintedMask(shape), rect.x, rect.y, rect.width, rect.height);
  context.globalAlpha = before;
}

/** The mask in its concept's colour, its edge stronger than its inside; of a faint one the edge alone. */
function paintedMask(shape: Shape): HTMLCanvasElement {
  const mask = shape.mask as Mask;
  const { concept, faint = false } = shape;
  const look = `${faint} ${strokeColour(concept)}`;
  const byLook = painted.get(mask) ?? new Map<string, HTMLCanvasElement>();
  painted.set(mask, byLook);
  const ready = byLook.get(look);
  if (ready) {
    return ready;
  }
  const { width, height, bits } = bitmapOf(mask);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (context) {
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const [edge, inner] = [strokeColour(concept), faint ? '' : strokeColour(concept, 0.75)].map(pixelOf);
    const rim = faint ? FAINT_RIM : 1;
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const at = row * width + column;
        if (bits[at]) {
          // the picture's own border is no edge
          const left = column < rim || bits[at - rim];
          const right = column >= width - rim || bits[at + rim];
          const above = row < rim || bits[at - rim * width];
          const below = row >= height - rim || bits[at + rim * width];
          pixels[at] = left && right && above && below ? inner : edge;
        }
      }
    }
    context.putImageData(image, 0, 0);
  }
  byLook.set(look, canvas);
  return canvas;
}

/** A CSS colour as the four bytes of a pixel; nothing for an empty one. */
function pixelOf(colour: string): number {
  const context = h('canvas', { width: 1, height: 1 }).getContext('2d');
  if (!context || !colour) {
    return 0;
  }
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}

/** Names at the upper left of their shapes; one that would cover another is left out until it is pointed at. */
function drawNames(context: CanvasRenderingContext2D, rect: Rect, shapes: readonly Shape[]): void {
  context.font = `600 ${FONT}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  const placed: Rect[] = [];
  for (const shape of [...shapes].sort((a, b) => (b.value ?? 1) - (a.value ?? 1))) {
    const text = shapeName(shape);
    const width = context.measureText(text).width + 8;
    const box = rectOf(shape, rect);
    const x = Math.max(rect.x, Math.min(box.x - 1, rect.x + rect.width - width));
    const y = box.y - LABEL >= rect.y ? box.y - LABEL : box.y;
    const field = { x, y, width, height: LABEL };
    if (placed.some((other) => overlap(field, other))) {
      continue;
    }
    placed.push(field);
    context.fillStyle = labelColour(shape.concept);
    context.fillRect(x, y, width, LABEL);
    context.fillStyle = '#fff';
    context.fillText(text, x + 4, y + LABEL / 2 + 0.5);
  }
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
