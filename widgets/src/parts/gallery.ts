import type { Context, Part, AppTarget } from '../context';

export function gallery(_host: HTMLElement, _context: Context, _target: AppTarget): Part {
  return { dispose: () => undefined };
}
