/** The app's trained versions, for fields that name one. */
import type { Field, ModelVersion } from '../api';
import type { Client } from '../client';
import type { Choice } from '../combobox';
import type { AppTarget } from '../context';
import { ago, metricName, score } from '../format';

/** Types whose networks give an embedding to build on. */
const EMBEDDING_TYPES = ['visual-classifier', 'visual-embedder'];

export async function trainedVersions(client: Client, target: AppTarget): Promise<ModelVersion[]> {
  const params = { owner: target.owner, app: target.app };
  const models = await client.call('models', { params });
  const all = await Promise.all(
    models.map((model) => client.call('versions', { params: { ...params, model: model.id } })),
  );
  return all
    .flat()
    .filter((version) => version.state === 'trained')
    .sort((a, b) => b.created - a.created);
}

/** Training goes on from the same type; anything else builds on a network that embeds. */
export function versionChoices(versions: readonly ModelVersion[], field: Field, type: string): Choice[] {
  const fitting = field.name === 'resume_from' ? [type] : EMBEDDING_TYPES;
  return versions
    .filter((version) => fitting.includes(version.type))
    .map((version) => ({ value: `${version.model}/${version.id}`, hint: hintOf(version) }));
}

function hintOf(version: ModelVersion): string {
  const value = version.metrics[version.best_metric];
  const figure =
    value === null || value === undefined ? '' : `${metricName(version.best_metric)} ${score(value)}, `;
  return `${figure}${ago(version.created)}`;
}
