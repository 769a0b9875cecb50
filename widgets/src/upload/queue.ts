/** Sends files, several at a time, counts every byte, and gathers the report. */
import type { Client } from '../client';
import { ApiError } from '../client';
import type { AppTarget, UploadReport } from '../context';
import type { CreateUpload } from '../api';
import type { ChosenFile } from './files';

export interface Progress {
  bytes: number;
  total: number;
  done: number;
  files: number;
}

const PARALLEL = 4;
/** Errors that the next file would meet too. */
const FATAL = new Set(['StoreFull', 'NotSignedIn', 'Forbidden', 'NotFound', 'Unreachable']);

/** Uploads all files. Throws only where the upload cannot begin; what befalls a file stands in the report. */
export async function uploadAll(
  client: Client,
  target: AppTarget,
  settings: CreateUpload,
  files: ChosenFile[],
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<UploadReport> {
  const started = performance.now();
  const { owner, app } = target;
  const upload = await client.call('create_upload', { params: { owner, app }, body: settings });
  const report: UploadReport = {
    added: 0,
    duplicates: 0,
    errors: [],
    warnings: [],
    inputs: [],
    names: { added: [], duplicates: [] },
    cancelled: false,
    seconds: 0,
  };
  const sent = new Map<ChosenFile, number>();
  const progress: Progress = { bytes: 0, total: 0, done: 0, files: files.length };
  for (const { file } of files) {
    progress.total += file.size;
  }
  const count = (chosen: ChosenFile, bytes: number): void => {
    progress.bytes += bytes - (sent.get(chosen) ?? 0);
    sent.set(chosen, bytes);
    onProgress(progress);
  };
  const queue = [...files];
  let fatal = '';

  const send = async (): Promise<void> => {
    for (let next = queue.shift(); next && !signal.aborted && !fatal; next = queue.shift()) {
      const chosen = next;
      const params = { owner, app, upload: upload.id };
      try {
        const outcome = await client.upload(
          params,
          chosen.name,
          chosen.file,
          (bytes) => count(chosen, Math.min(bytes, chosen.file.size)),
          signal,
        );
        record(report, chosen.name, outcome);
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        const message = error instanceof Error ? error.message : String(error);
        report.errors.push([chosen.name, message]);
        if (error instanceof ApiError && FATAL.has(error.code)) {
          fatal = message;
        }
      }
      progress.done += 1;
      count(chosen, chosen.file.size);
    }
  };

  await Promise.all(Array.from({ length: Math.min(PARALLEL, files.length) }, send));
  if (fatal) {
    report.errors.push(...queue.map(({ name }): [string, string] => [name, `Not sent: ${fatal}`]));
  }
  report.cancelled = signal.aborted;
  report.seconds = (performance.now() - started) / 1000;
  return report;
}

function record(
  report: UploadReport,
  name: string,
  outcome: { outcome: string; input: string | null; reason: string; warnings: string[] },
): void {
  if (outcome.outcome === 'added') {
    report.added += 1;
    report.names.added.push(name);
  } else if (outcome.outcome === 'duplicate') {
    report.duplicates += 1;
    report.names.duplicates.push(name);
  } else {
    report.errors.push([name, outcome.reason]);
  }
  if (outcome.input) {
    report.inputs.push(outcome.input);
  }
  report.warnings.push(...outcome.warnings.map((warning) => `${name}: ${warning}`));
}
