/** The exact Python of what a form does, and literals for it. */
import type { ModelVersion } from '../api';
import { copyButton } from '../controls';
import { h } from '../dom';

/** A JSON value as a Python literal. */
export function literal(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (typeof value === 'string') {
    // JSON's escapes are Python's too, but for the two line ends that JSON leaves as they are
    return JSON.stringify(value)
      .replace(/\u2028/g, '\\u2028')
      .replace(/\u2029/g, '\\u2029');
  }
  if (Array.isArray(value)) {
    return `[${value.map(literal).join(', ')}]`;
  }
  if (typeof value === 'object') {
    const items = Object.entries(value as Record<string, unknown>).map(
      ([key, item]) => `${literal(key)}: ${literal(item)}`,
    );
    return `{${items.join(', ')}}`;
  }
  return String(value);
}

/** A call with keywords, broken into lines where it is long. */
export function call(name: string, positional: unknown[], keywords: [string, unknown][]): string {
  const parts = [...positional.map(literal), ...keywords.map(([key, value]) => `${key}=${literal(value)}`)];
  const line = `${name}(${parts.join(', ')})`;
  return line.length <= 88 ? line : `${name}(\n${parts.map((part) => `    ${part},\n`).join('')})`;
}

/** The lines that reach an app from nothing; another's app is named by its owner too. */
export function connectLines(app: string, owner?: string): string[] {
  const named = owner ? `lab.app(${literal(app)}, owner=${literal(owner)})` : `lab.app(${literal(app)})`;
  return ['import deepft_lab', '', 'lab = deepft_lab.connect()', `app = ${named}`];
}

export function predictCode(version: Pick<ModelVersion, 'app' | 'model' | 'id'>, files: string[]): string {
  return [
    ...connectLines(version.app),
    `version = app.model(${literal(version.model)}).version(${literal(version.id)})`,
    `version.predict(${literal(files)})`,
  ].join('\n');
}

export interface CodeView {
  readonly element: HTMLDetailsElement;
  set(code: string): void;
}

/** Code that is folded away until wanted, with a copy button. */
export function codeView(title: string, testid: string): CodeView {
  const text = h('code');
  const element = h(
    'details',
    { class: 'dft-section dft-show-code', 'data-testid': testid },
    h('summary', {}, title),
    h(
      'div',
      { class: 'dft-code-block' },
      copyButton(() => text.textContent ?? ''),
      h('pre', { tabindex: 0 }, text),
    ),
  );
  return {
    element,
    set(code) {
      text.textContent = code;
    },
  };
}
