/**
 * What every part is given: the way to the server, the page's one stream, and the page's own dialogs.
 *
 *     const part = gallery(host, context, { owner, app });
 *     part.dispose();
 */
import type { ModelVersion } from './api';
import type { Client } from './client';
import type { Stream } from './stream';

/** A mounted part. `dispose` takes its elements, listeners and subscriptions away. */
export interface Part {
  dispose(): void;
}

/** Something that a page may open: an app's inputs, an upload, a model's form, a version, or its prediction. */
export type Target =
  | { kind: 'inputs' | 'upload'; owner: string; app: string }
  | { kind: 'model'; owner: string; app: string; model?: string }
  | { kind: 'version' | 'predict'; owner: string; app: string; model: string; version: string };

/** A question with up to two ways of saying yes. */
export interface Question {
  title: string;
  body: string;
  accept: string;
  danger?: boolean;
  /** A second way out, such as "Stop and keep the best". */
  alternative?: string;
}

export type Answer = 'accept' | 'alternative' | 'cancel';

export type NoticeKind = 'info' | 'success' | 'warning' | 'error';

/** `open`, `confirm` and `notify` are the page's own where it has them; the parts have plain ones of their own. */
export interface Context {
  client: Client;
  stream: Stream;
  open?(target: Target): void;
  confirm?(question: Question): Promise<Answer>;
  notify?(message: string, kind: NoticeKind): void;
}

export interface AppTarget {
  owner: string;
  app: string;
}

export interface VersionTarget extends AppTarget {
  model: string;
  version: string;
}

/** The outcome of an upload: one entry a file. */
export interface UploadReport {
  added: number;
  duplicates: number;
  errors: [name: string, reason: string][];
  warnings: string[];
  inputs: string[];
  /** Names of the files that were added, and of those that were there already. */
  names: { added: string[]; duplicates: string[] };
  cancelled: boolean;
  seconds: number;
}

export interface UploaderTarget extends AppTarget {
  onReport?(report: UploadReport): void;
  /** The last upload's report, for a view that is drawn again. */
  report?: UploadReport;
}

export interface ModelFormTarget extends AppTarget {
  /** An existing model to change; without it the form creates one. */
  model?: string;
  /** A model was created, or its values were saved. */
  onCreated?(model: import('./api').Model): void;
  onTrain?(version: ModelVersion): void;
  /** What the form holds now: the template, and every value. */
  onValue?(value: Record<string, unknown>): void;
}

export interface VersionViewTarget extends VersionTarget {
  /** The version's record changed: state, progress, metrics. */
  onChange?(version: ModelVersion): void;
}
