/** A curve chart by uPlot that follows its width and the page's theme. */
import uPlot from 'uplot';
import { fill, h } from '../dom';
import { metricName, number } from '../format';

export interface ChartOptions {
  title: string;
  /** Name of the x axis: "step" or "epoch". */
  x: string;
  testid?: string;
  /** The values are scores between 0 and 1. */
  scores?: boolean;
}

export interface Chart {
  readonly element: HTMLElement;
  /** Series by name over x. `mark` is an x to mark (the best epoch). */
  set(xs: number[], series: [name: string, values: (number | null)[]][], mark?: number | null): void;
  dispose(): void;
}

const HEIGHT = 170;
const COLOURS: [variable: string, fallback: string][] = [
  ['--jp-brand-color1', '#1976d2'],
  ['--jp-warn-color1', '#e65100'],
  ['--jp-success-color1', '#2e7d32'],
  ['--jp-info-color1', '#0097a7'],
  ['--jp-error-color1', '#c62828'],
];
const DASHES: (number[] | undefined)[] = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];

export function chart(options: ChartOptions): Chart {
  const canvas = h('div', { class: 'dft-chart-canvas' });
  const element = h(
    'figure',
    { class: 'dft-chart', 'data-testid': options.testid },
    h('figcaption', {}, options.title),
    canvas,
  );
  let plot: uPlot | null = null;
  let names = '';
  let data: uPlot.AlignedData = [[]];
  let shown: [string, (number | null)[]][] = [];
  let mark: number | null = null;
  // The last width there was: a chart is also built while a page is hidden, as it is while the theme changes.
  let width = 300;

  const build = (): void => {
    plot?.destroy();
    plot = null;
    fill(canvas);
    if (shown.length > 0) {
      plot = new uPlot(settings(), data, canvas);
    }
  };

  const settings = (): uPlot.Options => {
    const style = getComputedStyle(document.body);
    const colour = (name: string, fallback: string): string =>
      style.getPropertyValue(name).trim() || fallback;
    const text = colour('--jp-ui-font-color1', '#333');
    const grid = colour('--jp-border-color2', '#ddd');
    const font = `11px ${colour('--jp-ui-font-family', 'system-ui, sans-serif')}`;
    const axis = {
      stroke: text,
      font,
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1, size: 4 },
    };
    const formatted = (_: uPlot, values: number[]): string[] => values.map((value) => number(value));
    const pointed = data[0].length < 60;
    return {
      width: canvas.clientWidth || width,
      height: HEIGHT,
      cursor: { y: false, drag: { x: true, y: false } },
      legend: {
        live: true,
        markers: {
          width: 0,
          fill: (_, index) => sample(colour(...COLOURS[(index - 1) % COLOURS.length]), index - 1),
        },
      },
      scales: { x: { time: false, range: spread }, y: options.scores ? { range: scoreRange } : {} },
      axes: [
        {
          ...axis,
          size: 28,
          gap: 2,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5],
        },
        { ...axis, size: widthOf, gap: 3, values: formatted },
      ],
      series: [
        {
          label: options.x,
          value: (_, value) => (value === null ? '–' : `${number(value)}${placeOf(value)}`),
        },
        ...shown.map(([name], index) => ({
          label: metricName(name),
          stroke: colour(...COLOURS[index % COLOURS.length]),
          width: 1.75,
          dash: DASHES[index % DASHES.length],
          points: { show: pointed, size: 5 },
          spanGaps: true,
          value: (_: uPlot, value: number | null) => number(value),
        })),
      ],
      hooks: { draw: [(self) => drawMark(self, text, font)], setCursor: [showLatest] },
    };
  };

  /** Which epoch the legend tells of, so that nobody takes the last one for the best. */
  const placeOf = (x: number): string => {
    const xs = data[0];
    const names = [x === xs[xs.length - 1] ? 'last' : '', x === mark ? 'best' : ''].filter(Boolean);
    return mark === null || names.length === 0 ? '' : ` (${names.join(', ')})`;
  };

  const drawMark = (self: uPlot, colour: string, font: string): void => {
    if (mark === null) {
      return;
    }
    const x = self.valToPos(mark, 'x', true);
    const { ctx, bbox } = self;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = font.replace('11px', `${11 * devicePixelRatio}px`);
    const right = x < bbox.left + bbox.width / 2;
    ctx.textAlign = right ? 'left' : 'right';
    ctx.fillText(
      'best',
      x + (right ? 4 : -4) * devicePixelRatio,
      bbox.top + bbox.height - 6 * devicePixelRatio,
    );
    ctx.restore();
  };

  const resize = new ResizeObserver(() => {
    width = canvas.clientWidth || width;
    if (plot && plot.width !== width) {
      plot.setSize({ width, height: HEIGHT });
    }
  });
  resize.observe(canvas);
  const theme = new MutationObserver(build);
  theme.observe(document.body, {
    attributes: true,
    attributeFilter: ['data-jp-theme-name', 'data-jp-theme-light'],
  });

  return {
    element,
    set(xs, series, marked = null) {
      shown = series;
      data = [xs, ...series.map(([, values]) => values)];
      mark = marked;
      const key = `${series.map(([name]) => name).join('|')} ${xs.length < 60}`;
      element.setAttribute('aria-label', `${options.title}: ${latestWords(series)}`);
      if (!plot || key !== names) {
        names = key;
        build();
      } else {
        plot.setData(data);
      }
      if (plot) {
        showLatest(plot);
      }
    },
    dispose() {
      resize.disconnect();
      theme.disconnect();
      plot?.destroy();
      element.remove();
    },
  };
}

/** A piece of a series' line for the legend: colours come again, colours with their dashes do not. */
function sample(colour: string, index: number): string {
  const dash = DASHES[index % DASHES.length];
  if (!dash) {
    return colour;
  }
  let end = 0;
  const stops = dash.map(
    (length, part) => `${part % 2 ? 'transparent' : colour} ${end}px ${(end += length)}px`,
  );
  return `repeating-linear-gradient(90deg, ${stops.join(', ')})`;
}

/** While nothing is pointed at, the legend shows the newest values. */
function showLatest(plot: uPlot): void {
  if (plot.cursor.idx === null || plot.cursor.idx === undefined) {
    plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  }
}

/** Scores from a little below the least to 1, so that curves near the top can be told apart. */
function scoreRange(_: uPlot, low: number, high: number): [number, number] {
  return [Math.max(0, Math.floor((low - 0.03) * 20) / 20), Math.max(high, 1)];
}

/** Room at both sides of a single point. */
function spread(_: uPlot, low: number, high: number): [number, number] {
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** Room for the longest number beside the y axis. */
function widthOf(_: uPlot, values: string[] | null): number {
  const longest = (values ?? []).reduce((length, value) => Math.max(length, value.length), 1);
  return 12 + longest * 6.2;
}

function latestWords(series: [string, (number | null)[]][]): string {
  return series
    .map(([name, values]) => `${metricName(name)} ${number(values[values.length - 1])}`)
    .join(', ');
}
