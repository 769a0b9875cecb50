/**
 * A colour for each concept, the same for chips, boxes and masks. Concepts of one app are kept apart: a page tells the
 * app's names by `learnConcepts`, and two that would look alike are moved to free places of the colour circle.
 */

const APART = 28; // degrees: closer hues are hard to tell from each other
const PLACES = 12; // hues that are tried; with more concepts than that, names must tell them apart

const known = new Map<string, number>();

/** Gives places to names that have none yet. The order of the names does not matter. */
export function learnConcepts(names: readonly string[]): void {
  for (const name of [...names].sort()) {
    if (!known.has(name)) {
      known.set(name, freeHue(ownHue(name)));
    }
  }
}

/** Degrees on the colour circle. */
export function hue(name: string): number {
  return known.get(name) ?? ownHue(name);
}

/** For lines and fills over a picture. */
export function strokeColour(name: string, alpha = 1): string {
  return name === '' ? `hsl(0 0% 85% / ${alpha})` : `hsl(${hue(name)} 90% 62% / ${alpha})`;
}

/** Behind white text: dark enough for every hue. */
export function labelColour(name: string): string {
  return name === '' ? 'hsl(0 0% 25%)' : `hsl(${hue(name)} 75% 26%)`;
}

function freeHue(wanted: number): number {
  if (known.size >= PLACES) {
    return wanted;
  }
  const used = [...known.values()];
  const room = (candidate: number): number =>
    Math.min(360, ...used.map((other) => distance(candidate, other)));
  if (room(wanted) >= APART) {
    return wanted;
  }
  let best = wanted;
  for (let step = 1; step < PLACES; step += 1) {
    const candidate = (wanted + (360 / PLACES) * step) % 360;
    if (room(candidate) > room(best) + 1) {
      best = candidate;
    }
  }
  return Math.round(best);
}

function distance(a: number, b: number): number {
  const apart = Math.abs(a - b) % 360;
  return Math.min(apart, 360 - apart);
}

/** FNV-1a of the name. */
function ownHue(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return Math.round(((hash >>> 0) * 137.508) % 360); // the golden angle sets neighbours apart
}
