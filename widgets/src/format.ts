/** Numbers and times as people read them: a unit, at most three digits that mean something. */

/** Three significant digits, without exponents where they can be avoided. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return '–';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e');
  }
  if (size >= 1000) {
    return Math.round(value).toLocaleString('en');
  }
  return String(Number(value.toPrecision(3)));
}

/** A score between 0 and 1, always with three decimals. */
export function score(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(3);
}

export function percent(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined ? '–' : `${Math.floor(fraction * 100)} %`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return '–';
  }
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${number(size)} ${units[unit]}`;
}

/** 42 s, 12 min, 1 h 5 min. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) {
    return '–';
  }
  if (seconds < 90) {
    return `${seconds < 10 ? number(Math.round(seconds * 10) / 10) : Math.round(seconds)} s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  }
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "3 min ago" for a time in seconds since the epoch. */
export function ago(time: number, now = Date.now() / 1000): string {
  const seconds = now - time;
  return seconds < 10 ? 'just now' : `${duration(seconds)} ago`;
}

/** The absolute time, for a tooltip. */
export function moment(time: number): string {
  return new Date(time * 1000).toLocaleString();
}

/** With a capital letter at its beginning. */
export function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** "1 input", "2 inputs". */
export function plural(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** A metric's name as people write it: `f1_macro` is "F1 macro", `mAP_at_R` is "mAP@R". */
export function metricName(name: string): string {
  return name
    .replace(/_at_/g, '@')
    .replace(/^knn_/, 'k-NN ')
    .replace(/_/g, ' ')
    .replace(/\broc auc\b/, 'ROC AUC')
    .replace(/\bf1\b/, 'F1');
}
