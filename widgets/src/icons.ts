/** The icons of all parts, as strokes in the colour of the text around them. */

/** Paths in a field of 16 x 16. */
const ICONS = {
  add: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  upload: 'M8 11V3M4.5 6.5L8 3l3.5 3.5M3 13h10',
  folder: 'M2 4.5h4l1.5 1.5H14v7H2z',
  image: 'M2.5 3h11v10h-11zM2.5 11l3.5-4 3 3 2-2 2.5 3',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  undo: 'M3 7h6.5a3.5 3.5 0 010 7H6M6 4L3 7l3 3',
  previous: 'M10 3L5 8l5 5',
  next: 'M6 3l5 5-5 5',
  code: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5',
  stop: 'M4 4h8v8H4z',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.5M8 12v.1',
  minus: 'M3 8h10',
  bin: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9',
  play: 'M5 3l8 5-8 5z',
  region: 'M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3M5.5 5.5h5v5h-5z',
  enlarge: 'M9.5 2.5h4v4M6.5 13.5h-4v-4M13.5 2.5l-4.5 4.5M2.5 13.5l4.5-4.5',
  refresh: 'M13 8a5 5 0 11-1.5-3.6M13 2v3h-3',
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'dft-icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}
