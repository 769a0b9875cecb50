/** What changed between two evaluations of the same image: its likeliest concept, or what was found in it. */
import type { Preview } from '../api';

export interface Verdict {
  /** The likeliest concept; null where the model names none. */
  top: string | null;
  value: number | null;
  /** Whether the likeliest concept is true; null where nobody said. */
  right: boolean | null;
  /** Regions by concept, from the threshold on; null where the model finds no regions in any image. */
  found: ReadonlyMap<string, number> | null;
}

export interface Flip {
  kind: 'right' | 'wrong' | 'other';
  words: string;
}

export function verdictOf(preview: Preview, threshold: number, regional: boolean): Verdict {
  const first = (preview.prediction.concepts ?? [])[0];
  const labels = preview.labels ?? {};
  const positives = Object.values(labels).some((label) => label === 1);
  const said = first !== undefined && (positives || first.concept in labels);
  const found = new Map<string, number>();
  for (const { concept, value } of preview.prediction.regions ?? []) {
    if (value >= threshold) {
      found.set(concept, (found.get(concept) ?? 0) + 1);
    }
  }
  return {
    top: first?.concept ?? null,
    value: first?.value ?? null,
    right: said ? labels[first.concept] === 1 : null,
    found: regional ? found : null,
  };
}

/** null: nothing that counts has changed. */
export function flipBetween(before: Verdict, after: Verdict): Flip | null {
  if (before.found && after.found) {
    return countFlip(before.found, after.found);
  }
  if (before.top === after.top || before.top === null || after.top === null) {
    return null;
  }
  const words = `${before.top} → ${after.top}`;
  if (before.right !== after.right && after.right !== null) {
    return { kind: after.right ? 'right' : 'wrong', words };
  }
  return { kind: 'other', words };
}

function countFlip(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Flip | null {
  const concepts = [...new Set([...before.keys(), ...after.keys()])].sort();
  const changes = concepts
    .filter((concept) => (before.get(concept) ?? 0) !== (after.get(concept) ?? 0))
    .map((concept) => `${concept} ${before.get(concept) ?? 0} → ${after.get(concept) ?? 0}`);
  return changes.length > 0 ? { kind: 'other', words: changes.join(', ') } : null;
}

/** "3 flips since epoch 2: 2 became right, 1 became wrong". */
export function flipSummary(flips: readonly (Flip | null)[], since: number, regional: boolean): string {
  const changed = flips.filter((flip): flip is Flip => flip !== null);
  if (changed.length === 0) {
    return `No flip since epoch ${since}.`;
  }
  const counted = (kind: Flip['kind']): number => changed.filter((flip) => flip.kind === kind).length;
  const heading = `${changed.length} of ${flips.length} flipped since epoch ${since}`;
  if (regional) {
    return `${heading}: another number of regions.`;
  }
  const parts = [
    [counted('right'), 'became right'],
    [counted('wrong'), 'became wrong'],
    [counted('other'), 'changed otherwise'],
  ] as const;
  return `${heading}: ${parts
    .filter(([count]) => count > 0)
    .map(([count, words]) => `${count} ${words}`)
    .join(', ')}.`;
}
