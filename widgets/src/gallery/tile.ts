/** One input as a thumbnail with concept chips; pictures that the page's cookies cannot fetch come by token. */
import type { Input, Label } from '../api';
import type { Client } from '../client';
import { hue } from '../colours';
import type { AppTarget } from '../context';
import { icon } from '../icons';
import { h } from '../dom';
import { plural } from '../format';

const CHIPS = 3;
const SIDE = 256;

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

export function chips(labels: Label[]): HTMLElement {
  const sorted = [...labels].sort((a, b) => Number(b.positive) - Number(a.positive));
  const more = sorted.length - CHIPS;
  return h(
    'span',
    { class: 'dft-chips' },
    ...sorted.slice(0, CHIPS).map((label) => chip(label)),
    more > 0
      ? h(
          'span',
          {
            class: 'dft-chip',
            title: sorted
              .slice(CHIPS)
              .map((label) => label.concept)
              .join(', '),
          },
          `+${more}`,
        )
      : null,
  );
}

/** What a screen reader says of an input. */
export function spoken(input: Input): string {
  const concepts = input.labels.map((label) => (label.positive ? label.concept : `not ${label.concept}`));
  const regions = input.regions.length > 0 ? `, ${plural(input.regions.length, 'region')}` : '';
  return `${input.name}, ${concepts.length > 0 ? concepts.join(', ') : 'unlabelled'}${regions}`;
}

/** What of an input its tile shows, to see whether it must be drawn again. */
export function appearance(input: Input): string {
  return JSON.stringify([input.name, input.labels]);
}
