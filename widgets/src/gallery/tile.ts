/** One input as a thumbnail with concept chips; pictures that the page's cookies cannot fetch come by token. */
import type { Input, Label } from '../api';
import type { Client } from '../client';
import { hue, strokeColour } from '../colours';
import type { AppTarget } from '../context';
import { icon } from '../icons';
import { h } from '../dom';
import { plural } from '../format';

const SIDE = 256;
/** Pixels of chips in the narrowest tile: in all, and of a chip's character, of all else in it, of the one that counts. */
const ROOM = 120;
const CHARACTER = 6.4;
const AROUND = 30;
const MORE = 30;

/** A picture of the server. Where the plain address is refused it is fetched with the token. */
export function pictureOf(
  client: Client,
  target: AppTarget,
  input: Pick<Input, 'id' | 'name'>,
  kind: 'thumbnail' | 'picture',
  side = SIDE,
): HTMLElement {
  const params = { owner: target.owner, app: target.app, input: input.id };
  const query = kind === 'thumbnail' ? { side } : undefined;
  const image = h('img', {
    class: 'dft-picture',
    alt: input.name,
    loading: 'lazy',
    decoding: 'async',
    draggable: 'false',
  });
  const refused = (): void => {
    image.removeEventListener('error', refused);
    client
      .blob(kind, { params, query })
      .then((blob) => {
        const url = URL.createObjectURL(blob);
        image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
        image.addEventListener('error', () => missing(image), { once: true });
        image.src = url;
      })
      .catch(() => missing(image));
  };
  image.addEventListener('error', refused);
  image.src = client.url(kind, params, query);
  return image;
}

function missing(image: HTMLImageElement): void {
  image.replaceWith(
    h('span', { class: 'dft-picture dft-missing', title: 'The picture cannot be shown' }, icon('image')),
  );
}

/** A concept's chip: a colour of its own beside the name, "not" before one that is absent. */
export function chip(label: Label, ...tools: HTMLElement[]): HTMLElement {
  const dot = h('span', { class: 'dft-chip-dot', 'aria-hidden': 'true' });
  dot.style.setProperty('--dft-hue', String(hue(label.concept)));
  return h(
    'span',
    {
      class: label.positive ? 'dft-chip' : 'dft-chip dft-negative',
      title: label.positive ? label.concept : `not ${label.concept}`,
    },
    dot,
    label.positive ? null : h('span', { class: 'dft-not' }, 'not '),
    h('bdi', { class: 'dft-chip-text' }, label.concept),
    ...tools,
  );
}

/** The concepts of an input: those of the whole image first, then those of its regions with how many there are. */
export function chips({ labels, regions }: Pick<Input, 'labels' | 'regions'>): HTMLElement {
  const sorted = [...labels].sort((a, b) => Number(b.positive) - Number(a.positive));
  const counts = new Map<string, number>();
  for (const { concept = '', ignored } of regions) {
    if (concept && !ignored) {
      counts.set(concept, (counts.get(concept) ?? 0) + 1);
    }
  }
  const all: [text: string, name: string, make: () => HTMLElement][] = [
    ...sorted.map((label): [string, string, () => HTMLElement] => [
      label.positive ? label.concept : `not ${label.concept}`,
      label.concept,
      () => chip(label),
    ]),
    ...[...counts]
      .sort((a, b) => a[0].localeCompare(b[0]))
      .map(([name, count]): [string, string, () => HTMLElement] => [
        `${name} ${count}`,
        name,
        () => regionChip(name, count),
      ]),
  ];
  const shown = fitting(all.map(([text]) => text));
  const rest = all.slice(shown).map(([, name]) => name);
  return h(
    'span',
    { class: 'dft-chips' },
    ...all.slice(0, shown).map(([, , make]) => make()),
    rest.length > 0
      ? h('span', { class: 'dft-chip dft-chip-more', title: rest.join(', ') }, `+${rest.length}`)
      : null,
  );
}

/** How many chips a tile shows so that their names can be read: at least one, which is cut where it is too long. */
export function fitting(texts: string[]): number {
  let used = 0;
  for (const [index, text] of texts.entries()) {
    used += CHARACTER * text.length + AROUND;
    const more = index + 1 < texts.length ? MORE : 0;
    if (used + more > ROOM && index > 0) {
      return index;
    }
  }
  return texts.length;
}

/** A concept of regions: a square as in the list of regions, and how many there are. */
function regionChip(concept: string, count: number): HTMLElement {
  const dot = h('span', { class: 'dft-shape-dot', 'aria-hidden': 'true' });
  dot.style.background = strokeColour(concept);
  return h(
    'span',
    { class: 'dft-chip', title: `${concept}: ${plural(count, 'region')}` },
    dot,
    h('bdi', { class: 'dft-chip-text' }, concept),
    h('span', { class: 'dft-hint' }, String(count)),
  );
}

/** What a screen reader says of an input. */
export function spoken(input: Input): string {
  const concepts = input.labels.map((label) => (label.positive ? label.concept : `not ${label.concept}`));
  if (input.regions.length > 0) {
    concepts.push(plural(input.regions.length, 'region'));
  }
  return `${input.name}, ${concepts.length > 0 ? concepts.join(', ') : 'unlabelled'}`;
}

/** What of an input its tile shows, to see whether it must be drawn again. */
export function appearance(input: Input): string {
  return JSON.stringify([input.name, input.labels, input.regions.map((region) => region.id)]);
}
