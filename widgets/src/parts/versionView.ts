import type { Context, Part, VersionViewTarget } from '../context';

export function versionView(_host: HTMLElement, _context: Context, _target: VersionViewTarget): Part {
  return { dispose: () => undefined };
}
