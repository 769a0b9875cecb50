import type { Context, Part, ModelFormTarget } from '../context';

export function modelForm(_host: HTMLElement, _context: Context, _target: ModelFormTarget): Part {
  return { dispose: () => undefined };
}
