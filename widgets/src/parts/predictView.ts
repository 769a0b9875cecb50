import type { Context, Part, VersionTarget } from '../context';

export function predictView(_host: HTMLElement, _context: Context, _target: VersionTarget): Part {
  return { dispose: () => undefined };
}
