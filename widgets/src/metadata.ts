/** Metadata is any JSON object; everything else is refused in words. */

export interface ParsedMetadata {
  value: Record<string, unknown> | null;
  reason: string;
}

/** The object that a text holds; an empty text is an empty object. */
export function parseMetadata(text: string): ParsedMetadata {
  if (text.trim() === '') {
    return { value: {}, reason: '' };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { value: null, reason: `This is not JSON: ${detail}` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { value: null, reason: 'Metadata is a JSON object, such as {"camera": "left"}.' };
  }
  return { value: value as Record<string, unknown>, reason: '' };
}

/** `camera=left` as a filter: the value is read as JSON where it is JSON, else as text. */
export function parsePair(text: string): { key: string; value: unknown } | null {
  const at = text.indexOf('=');
  if (at < 1) {
    return null;
  }
  const raw = text.slice(at + 1).trim();
  let value: unknown = raw;
  try {
    value = JSON.parse(raw);
  } catch {
    // plain text
  }
  return { key: text.slice(0, at).trim(), value };
}
