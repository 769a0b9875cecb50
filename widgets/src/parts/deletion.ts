/** Deleting a version is one dialog everywhere; cancelling a training is the same. */
import type { ModelVersion } from '../api';
import type { Context, Question } from '../context';
import { messageOf } from '../controls';
import { ask, notify } from '../dialogs';
import { duration, number } from '../format';

const FINISHED = new Set(['trained', 'failed', 'deleted']);

export function isFinished(version: ModelVersion): boolean {
  return FINISHED.has(version.state);
}

/** "12 min", and where there are GPUs or a price "12 min (0.2 GPU-hours, 0.50 EUR)". */
export function timeUsed(version: ModelVersion): string {
  const details: string[] = [];
  if (version.gpus > 0) {
    details.push(`${number((version.seconds_used * version.gpus) / 3600)} GPU-hours`);
  }
  if (version.cost !== null) {
    details.push(`${version.cost.toFixed(2)} ${version.currency}`.trim());
  }
  return duration(version.seconds_used) + (details.length > 0 ? ` (${details.join(', ')})` : '');
}

/** The question before a version is deleted, with the time that it used. */
export function askToDelete(version: ModelVersion): Question {
  const running = !isFinished(version);
  const sentences: string[] = [];
  if (version.seconds_used > 0) {
    const gpuHours = (version.seconds_used * version.gpus) / 3600;
    const ledger =
      version.gpus > 0
        ? ` (${number(gpuHours)} GPU-hours, which stay in the ledger)`
        : ', which stays in the ledger';
    sentences.push(`It has trained ${duration(version.seconds_used)}${ledger}.`);
    sentences.push('Its checkpoints go with it.');
  } else {
    sentences.push(running ? 'It has not started yet.' : 'It used no time.');
  }
  return {
    title: `Delete ${version.id}?`,
    body: sentences.join(' '),
    accept: running ? 'Cancel and delete' : 'Delete',
    danger: true,
    alternative: running && version.epoch > 0 && !version.stopping ? 'Stop and keep the best' : undefined,
  };
}

/** Asks, then deletes, or stops and keeps the best. Gives the version as it is then, or null when nothing was done. */
export async function deleteVersion(
  context: Context,
  version: ModelVersion,
  host: HTMLElement = document.body,
): Promise<ModelVersion | null> {
  const answer = await ask(context, host, askToDelete(version));
  if (answer === 'cancel') {
    return null;
  }
  const params = { owner: version.owner, app: version.app, model: version.model, version: version.id };
  try {
    return await context.client.call(answer === 'accept' ? 'delete_version' : 'stop_version', { params });
  } catch (error) {
    notify(context, host, messageOf(error), 'error');
    return null;
  }
}
