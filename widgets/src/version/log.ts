/** The log: what launcher and ranks printed, followed while it is open, with a search. */
import { copyButton, messageOf, textInput } from '../controls';
import type { Context, VersionTarget } from '../context';
import { fill, h, Scope } from '../dom';
import { plural } from '../format';

const KEPT_LINES = 20_000;
const SHOWN_LINES = 3_000;
const POLL_MILLISECONDS = 1000;

export interface Log {
  readonly element: HTMLElement;
  /** Whether more may come. */
  setRunning(running: boolean): void;
}

export function logView(context: Context, target: VersionTarget, scope: Scope): Log {
  const lines: string[] = [];
  let rest = '';
  let offset = 0;
  let running = true;
  let busy = false;
  let timer = 0;

  const search = textInput({
    type: 'search',
    placeholder: 'Search the log',
    'aria-label': 'Search the log',
    'data-testid': 'log-search',
  });
  const found = h('span', { class: 'dft-help', role: 'status' });
  const text = h('pre', { class: 'dft-log', tabindex: 0, 'aria-label': 'Log', 'data-testid': 'log' });
  const element = h(
    'details',
    { class: 'dft-section', 'data-testid': 'log-section' },
    h('summary', {}, 'Log'),
    h(
      'div',
      { class: 'dft-row dft-wrap' },
      search,
      found,
      h('span', { class: 'dft-grow' }),
      copyButton(() => [...lines, rest].join('\n')),
    ),
    text,
  );

  const draw = (): void => {
    const wanted = search.value.toLocaleLowerCase();
    const all = rest ? [...lines, rest] : lines;
    const matching = wanted ? all.filter((line) => line.toLocaleLowerCase().includes(wanted)) : all;
    const shown = matching.slice(-SHOWN_LINES);
    const following = text.scrollHeight - text.scrollTop - text.clientHeight < 30;
    text.textContent = shown.join('\n') || (wanted ? '' : 'Nothing was printed yet.');
    const left = matching.length - shown.length;
    found.textContent = wanted
      ? plural(matching.length, 'line')
      : left > 0
        ? `${plural(left, 'earlier line')} not shown`
        : '';
    if (following) {
      text.scrollTop = text.scrollHeight;
    }
  };

  const take = (piece: string): void => {
    const fresh = (rest + piece).split('\n');
    rest = lastOf(fresh.pop() ?? '');
    lines.push(...fresh.map(lastOf));
    if (lines.length > KEPT_LINES) {
      lines.splice(0, lines.length - KEPT_LINES);
    }
  };

  const poll = async (): Promise<void> => {
    window.clearTimeout(timer);
    if (busy || !element.open || scope.disposed) {
      return;
    }
    busy = true;
    try {
      for (;;) {
        const page = await context.client.call('log', { params: target, query: { after: offset } });
        const more = page.next > offset;
        offset = page.next;
        if (page.text) {
          take(page.text);
        }
        if (!more) {
          break;
        }
      }
      draw();
    } catch (error) {
      fill(found, `The log cannot be read: ${messageOf(error)}`);
    } finally {
      busy = false;
    }
    if (running && !scope.disposed) {
      timer = window.setTimeout(() => void poll(), POLL_MILLISECONDS);
    }
  };

  element.addEventListener('toggle', () => void poll());
  search.addEventListener('input', draw);
  scope.add(() => window.clearTimeout(timer));
  return {
    element,
    setRunning(next) {
      if (running && !next) {
        void poll();
      }
      running = next;
    },
  };
}

/** A terminal shows only what follows the last carriage return of a line. */
function lastOf(line: string): string {
  const trimmed = line.endsWith('\r') ? line.slice(0, -1) : line;
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1);
}
