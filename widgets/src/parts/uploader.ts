import type { Context, Part, UploaderTarget } from '../context';

export function uploader(_host: HTMLElement, _context: Context, _target: UploaderTarget): Part {
  return { dispose: () => undefined };
}
