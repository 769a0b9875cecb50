/** The Python that does what the model's form does. */
import type { Model, Train } from '../api';
import { call, connectLines } from './python';

export interface FormContent {
  app: string;
  /** The model that is changed; null: one is created. */
  model: Model | null;
  id: string;
  type: string;
  template: string;
  description: string;
  concepts: string[] | null;
  /** Every value, and those that differ from the template's defaults. */
  values: Record<string, unknown>;
  changed: Record<string, unknown>;
  train: Train;
}

export function formCode(form: FormContent): string {
  const { model, train } = form;
  const lines = connectLines(form.app);
  if (model === null) {
    const keywords: [string, unknown][] = [
      ['type', form.type],
      ['template', form.template],
      ...(form.description ? [['description', form.description] as [string, unknown]] : []),
      ...(form.concepts ? [['concepts', form.concepts] as [string, unknown]] : []),
      ...Object.entries(form.changed),
    ];
    lines.push(`model = ${call('app.create_model', [form.id || 'my-model'], keywords)}`);
  } else {
    lines.push(`model = ${call('app.model', [model.id], [])}`);
    const before = model.values;
    const differing = Object.entries(form.values).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]),
    );
    const moved: [string, unknown][] = form.template !== model.template ? [['template', form.template]] : [];
    if (differing.length + moved.length > 0) {
      const method = moved.length > 0 ? 'model.update' : 'model.update_params';
      lines.push(call(method, [], [...moved, ...differing]));
    }
  }
  const choices: [string, unknown][] = [];
  if (train.dataset) {
    choices.push(['dataset', train.dataset]);
  }
  if (train.validation !== null && train.validation !== undefined) {
    choices.push(['validation', train.validation]);
  }
  lines.push(`version = ${call('model.train', [], choices)}`);
  return lines.join('\n');
}
