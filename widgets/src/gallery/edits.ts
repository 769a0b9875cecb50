/** Changes of many inputs at once, each with its way back. */
import type { Input, Label, Region } from '../api';
import type { Client } from '../client';
import type { AppTarget } from '../context';
import { plural } from '../format';

/** A change that was made: what it was, and how to take it back. */
export interface Edit {
  words: string;
  warnings: string[];
  undo(): Promise<void>;
}

export type LabelAction = 'positive' | 'negative' | 'remove';

const AT_ONCE = 1000;

export class Edits {
  constructor(
    private client: Client,
    private target: AppTarget,
  ) {}

  async label(inputs: Input[], concept: string, action: LabelAction): Promise<Edit> {
    const before = groupBy(inputs, (input) =>
      actionOf(input.labels.find((label) => label.concept === concept)),
    );
    const warnings = await this.annotate(ids(inputs), concept, action);
    const verbs = { positive: 'is on', negative: 'is marked absent on', remove: 'is off' };
    return {
      words: `“${concept}” ${verbs[action]} ${plural(inputs.length, 'input')}`,
      warnings,
      undo: async () => {
        for (const [former, members] of before) {
          if (former !== action) {
            await this.annotate(ids(members), concept, former);
          }
        }
      },
    };
  }

  async dataset(inputs: Input[], dataset: string, put: boolean): Promise<Edit> {
    const changed = ids(inputs.filter((input) => input.datasets.includes(dataset) !== put));
    const send = (members: string[], into: boolean): Promise<string[]> =>
      this.inParts(members, (part) =>
        this.client.call('edit_inputs', {
          params: this.params,
          body: { inputs: part, [into ? 'add_datasets' : 'remove_datasets']: [dataset] },
        }),
      );
    const warnings = await send(ids(inputs), put);
    return {
      words: `${plural(inputs.length, 'input')} ${put ? 'put into' : 'taken out of'} ${dataset}`,
      warnings,
      undo: async () => void (await send(changed, !put)),
    };
  }

  async metadata(inputs: Input[], changes: Record<string, unknown>): Promise<Edit> {
    const keys = Object.keys(changes);
    const former = (input: Input): Record<string, unknown> =>
      Object.fromEntries(keys.map((key) => [key, input.metadata[key] ?? null]));
    const before = groupBy(inputs, (input) => JSON.stringify(former(input)));
    const send = (members: string[], metadata: Record<string, unknown>): Promise<string[]> =>
      this.inParts(members, (part) =>
        this.client.call('edit_inputs', { params: this.params, body: { inputs: part, metadata } }),
      );
    const warnings = await send(ids(inputs), changes);
    return {
      words: `Metadata of ${plural(inputs.length, 'input')} changed`,
      warnings,
      undo: async () => {
        for (const [text, members] of before) {
          await send(ids(members), JSON.parse(text) as Record<string, unknown>);
        }
      },
    };
  }

  async remove(inputs: Input[]): Promise<Edit> {
    const members = ids(inputs);
    const warnings = await this.inParts(members, (part) =>
      this.client.call('delete_inputs', { params: this.params, body: { inputs: part } }),
    );
    return {
      words: `${plural(inputs.length, 'input')} deleted`,
      warnings,
      undo: async () =>
        void (await this.inParts(members, (part) =>
          this.client.call('restore_inputs', { params: this.params, body: { inputs: part } }),
        )),
    };
  }

  /** Takes a region away. Put back, it is the same region under another id. */
  async removeRegion(input: Input, region: Region): Promise<Edit> {
    const { id, ...same } = region;
    const send = async (change: { add?: Region[]; remove?: number[] }): Promise<string[]> => {
      const body = { inputs: [{ input: input.id, ...change }] };
      return (await this.client.call('annotate_regions', { params: this.params, body })).warnings;
    };
    const warnings = await send({ remove: [id ?? 0] });
    const what = [
      region.concept ? `“${region.concept}”` : '',
      region.ignored ? 'ignored' : '',
      region.kind ?? 'box',
    ];
    return {
      words: `Region deleted: ${what.filter(Boolean).join(' ')}`,
      warnings,
      undo: async () => void (await send({ add: [same] })),
    };
  }

  private annotate(members: string[], concept: string, action: LabelAction): Promise<string[]> {
    return this.inParts(members, (part) =>
      this.client.call('annotate', { params: this.params, body: { inputs: part, [action]: [concept] } }),
    );
  }

  private async inParts(
    members: string[],
    send: (part: string[]) => Promise<{ warnings: string[] }>,
  ): Promise<string[]> {
    const warnings: string[] = [];
    for (let start = 0; start < members.length; start += AT_ONCE) {
      const answer = await send(members.slice(start, start + AT_ONCE));
      warnings.push(...answer.warnings);
    }
    return warnings;
  }

  private get params(): { owner: string; app: string } {
    return { owner: this.target.owner, app: this.target.app };
  }
}

/** The labels that an input has after an action, for showing it at once. */
export function labelsAfter(labels: Label[], concept: string, action: LabelAction): Label[] {
  const others = labels.filter((label) => label.concept !== concept);
  const next = action === 'remove' ? others : [...others, { concept, positive: action === 'positive' }];
  return next.sort((a, b) => a.concept.localeCompare(b.concept));
}

function actionOf(label: Label | undefined): LabelAction {
  return label === undefined ? 'remove' : label.positive ? 'positive' : 'negative';
}

function ids(inputs: Input[]): string[] {
  return inputs.map((input) => input.id);
}

function groupBy<K>(inputs: Input[], key: (input: Input) => K): Map<K, Input[]> {
  const groups = new Map<K, Input[]>();
  for (const input of inputs) {
    const name = key(input);
    groups.set(name, [...(groups.get(name) ?? []), input]);
  }
  return groups;
}
