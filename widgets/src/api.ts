// Generated from deepft_lab/api.py by `python -m deepft_lab.server.typescript`. Do not edit.

export const BASE = '/deepft/api';

export type State = 'queued' | 'starting' | 'training' | 'evaluating' | 'trained' | 'failed' | 'deleted';

export type Role = 'user' | 'viewer' | 'labeller' | 'trainer' | 'owner' | 'administrator';

/** Puts concepts on inputs (present or absent) and takes them off. Unknown concepts are created. */
export interface Annotate {
  inputs: string[];
  positive?: string[];
  negative?: string[];
  remove?: string[];
}

/** Regions of many inputs, all or none. Boxes are clipped to the picture; unknown concepts are created. */
export interface AnnotateRegions {
  inputs: InputRegions[];
}

/** What the named inputs bear now, in the order asked; `warnings` names what was clipped or left out, and why. */
export interface AnnotatedRegions {
  inputs: Input[];
  warnings: string[];
}

/** One entry of the append-only history: of labels, or of regions (then with the region). */
export interface Annotation {
  id: number;
  input: string;
  concept: string;
  action: 'negative' | 'positive' | 'remove';
  author: string;
  created: number;
  region: Region | null;
}

export interface App {
  owner: string;
  id: string;
  description: string;
  created: number;
  role: Role;
  inputs: number;
  concepts: number;
  datasets: number;
  models: number;
}

/** A template file that could not be used; it hides nothing else. */
export interface BrokenTemplate {
  origin: string;
  faults: Fault[];
}

/** A form's content. `examples` is the number of training inputs, where known. */
export interface CheckParams {
  values?: Record<string, unknown>;
  examples?: number | null;
}

/** Complete values, every fault, and what follows from the values. */
export interface CheckedParams {
  values: Record<string, unknown>;
  faults: Fault[];
  effective_lrate: number | null;
  steps_per_epoch: number | null;
  total_steps: number | null;
}

export interface Concept {
  name: string;
  positives: number;
  negatives: number;
  created: number;
}

export interface ConceptValue {
  concept: string;
  value: number;
}

export interface Count {
  count: number;
}

export interface CreateApp {
  id: string;
  description?: string;
}

export interface CreateConcepts {
  names: string[];
}

export interface CreateDataset {
  id: string;
}

export interface CreateModel {
  id: string;
  type?: string;
  template?: string | null;
  description?: string;
  concepts?: string[] | null;
  values?: Record<string, unknown>;
}

/** A training that is not begun. Without `template` it is one of `model` as that is saved; with a template, concepts and values are those given here, and `model`, which need not be there yet, is only a name. */
export interface CreateQuote {
  model?: string;
  type?: string;
  template?: string | null;
  concepts?: string[] | null;
  values?: Record<string, unknown>;
  dataset?: string | null;
  validation?: string | number | null;
}

/** Upload settings, which every file of the upload gets. */
export interface CreateUpload {
  dataset?: string | null;
  concepts?: string[];
  concepts_from_folders?: boolean;
  metadata?: Record<string, unknown>;
  dry_run?: boolean;
}

export interface Dataset {
  id: string;
  inputs: number;
  created: number;
  versions: number;
}

/** A frozen dataset: immutable, its id is the SHA-256 of its manifest. */
export interface DatasetVersion {
  id: string;
  dataset: string;
  inputs: number;
  concepts: string[];
  created: number;
}

/** Changes many inputs at once. `metadata` is merged; a key with null is taken away. */
export interface EditInputs {
  inputs: string[];
  add_datasets?: string[];
  remove_datasets?: string[];
  metadata?: Record<string, unknown>;
}

/** How many inputs an edit touched, and what a person should know about it. */
export interface Edited {
  count: number;
  warnings: string[];
}

/** One line of events.jsonl. `seq` counts from 1 over all attempts; `step` is the optimizer step. */
export interface Event {
  seq: number;
  attempt: number;
  step: number;
  time: number;
  kind: string;
  data: Record<string, unknown>;
}

export interface EventPage {
  events: Event[];
  state: State;
}

export interface EventQuery {
  after?: number;
}

/** One thing that is wrong: the field (or file), its value, and why, in words. */
export interface Fault {
  field: string;
  value: unknown;
  reason: string;
}

/** One hyperparameter: what the form, the checker and the docs know of it. */
export interface Field {
  name: string;
  type: 'boolean' | 'choice' | 'integer' | 'integers' | 'number' | 'numbers' | 'text';
  default: unknown;
  help: string;
  label: string;
  min: number | null;
  max: number | null;
  step: number | null;
  choices: string[];
  unit: string;
  more: boolean;
  nullable: boolean;
}

/** A region that a model found. `box` as in Region; `mask` from a segmenter, over the whole picture. */
export interface FoundRegion {
  concept: string;
  value: number;
  box: [number, number, number, number];
  mask: Mask | null;
}

export interface Gpu {
  index: number;
  name: string;
  memory_total: number;
  memory_used: number;
  utilisation: number | null;
  job: string | null;
}

export interface Input {
  id: string;
  name: string;
  width: number;
  height: number;
  format: string;
  bytes: number;
  created: number;
  author: string;
  metadata: Record<string, unknown>;
  datasets: string[];
  labels: Label[];
  regions: Region[];
}

export interface InputDetail {
  input: Input;
  history: Annotation[];
}

export interface InputIds {
  inputs: string[];
}

export interface InputPage {
  inputs: Input[];
  next: string | null;
}

/** Filter and page. `metadata` is a JSON object; an input matches if it has all these keys and values. */
export interface InputQuery {
  limit?: number;
  after?: string | null;
  concept?: string | null;
  dataset?: string | null;
  metadata?: string | null;
  unlabelled?: boolean;
}

/** Changes of one input's regions: ids to take away, regions to put. `replace`: all others go; `replace_kinds`: all others of these kinds. Those that are the same stay, with their ids. */
export interface InputRegions {
  input: string;
  add?: Region[];
  remove?: number[];
  replace?: boolean;
  replace_kinds?: ('box' | 'mask' | 'point' | 'polygon')[];
}

/** A concept on an input: positive (it is there) or negative (it is not). */
export interface Label {
  concept: string;
  positive: boolean;
}

export interface Licence {
  code: string;
  weights: string;
}

export interface LogPage {
  text: string;
  next: number;
}

export interface LogQuery {
  after?: number;
}

/** What the engine has, and how much of it is free. */
export interface Machine {
  engine: string;
  cpus: number;
  memory_total: number;
  memory_available: number;
  disk_free: number;
  gpus: Gpu[];
  running: number;
  waiting: number;
}

/** Pixels of a region, as COCO's compressed run lengths: column by column, beginning with the pixels outside. */
export interface Mask {
  height: number;
  width: number;
  counts: string;
}

/** The caller, and the server that answers. */
export interface Me {
  user: string;
  administrator: boolean;
  version: string;
  store: string;
  owner_of_store: boolean;
}

export interface Model {
  owner: string;
  app: string;
  id: string;
  type: string;
  description: string;
  concepts: string[] | null;
  template: string;
  values: Record<string, unknown>;
  created: number;
  versions: number;
}

/** One training: its state now, and its outcome once it has one. The same record feeds every progress bar. */
export interface ModelVersion {
  owner: string;
  app: string;
  model: string;
  id: string;
  job: string;
  type: string;
  template: string;
  template_hash: string;
  values: Record<string, unknown>;
  concepts: string[];
  dataset: string | null;
  train_version: string;
  validation_version: string | null;
  description: string;
  author: string;
  created: number;
  state: State;
  attempt: number;
  started: number | null;
  ended: number | null;
  reason: string;
  queue_place: number | null;
  progress: number;
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  images_per_second: number | null;
  seconds_left: number | null;
  seconds_used: number;
  gpus: number;
  cost: number | null;
  currency: string;
  stopping: boolean;
  metrics: Record<string, number | null>;
  metrics_by_concept: Record<string, Record<string, number | null>>;
  best_epoch: number | null;
  best_metric: string;
  warnings: string[];
  last_seq: number;
  preparing: string;
  resumable: boolean;
}

export interface PictureQuery {
  side?: number;
}

export interface Predict {
  images: PredictImage[];
}

/** An image by its bytes (base64 in JSON) or by the id of an input of the app. */
export interface PredictImage {
  data?: string | null;
  input?: string | null;
}

/** What a model says of an image: concepts or regions (highest value first), or an embedding of length 1. For an image that cannot be read, the error. */
export interface Prediction {
  concepts: ConceptValue[];
  regions: FoundRegion[];
  embedding: number[];
  error: string;
}

export interface Predictions {
  predictions: Prediction[];
  seconds: number;
  cold: boolean;
}

/** One image of the fixed set that each evaluation predicts: what is true of it, and what the model says. */
export interface Preview {
  input: string;
  labels: Record<string, number>;
  regions: Region[];
  prediction: Prediction;
}

/** What a training would take, once it is `done`: measured by training a sample of its inputs for some seconds. */
export interface Quote {
  id: string;
  owner: string;
  app: string;
  state: 'cancelled' | 'done' | 'failed' | 'measuring' | 'waiting';
  progress: number;
  reason: string;
  seconds: number | null;
  parts: Record<string, number>;
  epochs: number | null;
  steps: number | null;
  memory: number | null;
  gpu_memory: number | null;
  micro_batch: number | null;
  ranks: number;
  gpus: number;
  cpu_seconds: number | null;
  cost: number | null;
  currency: string;
}

/** A part of an input. Coordinates are fractions 0..1 of the oriented picture, x to the right and y down. `box` (left, top, right, bottom) is always there: for a polygon or a mask the box around it, for a point an empty one. An ignored region counts neither for nor against a prediction; its concept may be empty, which means every one. A page of inputs has very large masks and polygons without their pixels and corners; the operation `input` has all. */
export interface Region {
  kind?: 'box' | 'mask' | 'point' | 'polygon';
  concept?: string;
  box: [number, number, number, number];
  polygons?: number[][];
  mask?: Mask | null;
  ignored?: boolean;
  id?: number;
}

/** Ends a server that `connect()` started, once no job runs. */
export interface Shutdown {
  client?: string;
}

/** `after` is the `id` of the last message that was read: `job:seq` pairs joined by `~`. */
export interface StreamQuery {
  after?: string;
  job?: string | null;
}

/** A pre-configured recipe, as its YAML file states it. `recipe` names registered builders. */
export interface Template {
  id: string;
  type: string;
  name: string;
  summary: string;
  fields: Field[];
  recipe: Record<string, unknown>;
  aliases: string[];
  good_for: string;
  images: string;
  hardware: string;
  duration: string;
  licence: Licence;
  sources: string[];
  recommended: boolean;
  without_gpu: boolean;
  origin: string;
  hash: string;
}

export interface TemplateList {
  templates: Template[];
  broken: BrokenTemplate[];
}

/** `validation`: a dataset's name, a fraction held out (0..0.9), or None for the template's default. */
export interface Train {
  dataset?: string | null;
  validation?: string | number | null;
  description?: string;
}

/** Values are merged over the model's. A new template keeps the values that both have. */
export interface UpdateModel {
  template?: string | null;
  description?: string | null;
  concepts?: string[] | null;
  values?: Record<string, unknown>;
}

export interface Upload {
  id: string;
  settings: CreateUpload;
}

/** `name` is the file's path relative to what was chosen, with `/`; the last folder names its concept. */
export interface UploadQuery {
  name: string;
}

/** What became of one file. */
export interface UploadedFile {
  name: string;
  outcome: 'added' | 'duplicate' | 'error';
  input: string | null;
  reason: string;
  warnings: string[];
}

/** One row of the ledger: what one attempt of one job used. Rows are never deleted. */
export interface Usage {
  user: string;
  owner: string;
  app: string;
  model: string;
  version: string;
  job: string;
  attempt: number;
  started: number;
  ended: number | null;
  seconds: number;
  gpus: number;
  gpu_hours: number;
  cpu_seconds: number;
  price_per_gpu_hour: number | null;
  price_per_cpu_hour: number | null;
  currency: string;
  cost: number | null;
}

/** The body of every answer that is no success. */
export interface ErrorBody {
  error: string;
  message: string;
  faults: Fault[];
}

/** The messages of the stream `events_stream` by their kind. */
export interface Messages {
  hello: Record<string, never>;
  version: ModelVersion;
  event: { job: string; owner: string; app: string; model: string; version: string; event: Event };
  changed: { owner: string; app: string; what: string };
}

export const OPERATIONS = {
  me: { verb: 'GET', path: '/me', kind: 'json', role: 'user' },
  machine: { verb: 'GET', path: '/machine', kind: 'json', role: 'user' },
  events_stream: { verb: 'GET', path: '/events', kind: 'stream', role: 'user' },
  running: { verb: 'GET', path: '/running', kind: 'json', role: 'user' },
  usage: { verb: 'GET', path: '/usage', kind: 'json', role: 'user' },
  shutdown: { verb: 'POST', path: '/shutdown', kind: 'json', role: 'administrator' },
  templates: { verb: 'GET', path: '/templates', kind: 'json', role: 'user' },
  check_params: { verb: 'POST', path: '/templates/{template}/check', kind: 'json', role: 'user' },
  apps: { verb: 'GET', path: '/apps', kind: 'json', role: 'user' },
  create_app: { verb: 'POST', path: '/apps', kind: 'json', role: 'user' },
  app: { verb: 'GET', path: '/apps/{owner}/{app}', kind: 'json', role: 'viewer' },
  delete_app: { verb: 'DELETE', path: '/apps/{owner}/{app}', kind: 'json', role: 'owner' },
  inputs: { verb: 'GET', path: '/apps/{owner}/{app}/inputs', kind: 'json', role: 'viewer' },
  count_inputs: { verb: 'GET', path: '/apps/{owner}/{app}/inputs/count', kind: 'json', role: 'viewer' },
  edit_inputs: { verb: 'PATCH', path: '/apps/{owner}/{app}/inputs', kind: 'json', role: 'labeller' },
  delete_inputs: { verb: 'POST', path: '/apps/{owner}/{app}/inputs/delete', kind: 'json', role: 'labeller' },
  restore_inputs: { verb: 'POST', path: '/apps/{owner}/{app}/inputs/restore', kind: 'json', role: 'labeller' },
  input: { verb: 'GET', path: '/apps/{owner}/{app}/inputs/{input}', kind: 'json', role: 'viewer' },
  picture: { verb: 'GET', path: '/apps/{owner}/{app}/inputs/{input}/picture', kind: 'file', role: 'viewer' },
  thumbnail: { verb: 'GET', path: '/apps/{owner}/{app}/inputs/{input}/thumbnail', kind: 'file', role: 'viewer' },
  create_upload: { verb: 'POST', path: '/apps/{owner}/{app}/uploads', kind: 'json', role: 'labeller' },
  upload_file: { verb: 'PUT', path: '/apps/{owner}/{app}/uploads/{upload}/files', kind: 'upload', role: 'labeller' },
  concepts: { verb: 'GET', path: '/apps/{owner}/{app}/concepts', kind: 'json', role: 'viewer' },
  create_concepts: { verb: 'POST', path: '/apps/{owner}/{app}/concepts', kind: 'json', role: 'labeller' },
  annotate: { verb: 'POST', path: '/apps/{owner}/{app}/annotations', kind: 'json', role: 'labeller' },
  annotate_regions: { verb: 'POST', path: '/apps/{owner}/{app}/regions', kind: 'json', role: 'labeller' },
  datasets: { verb: 'GET', path: '/apps/{owner}/{app}/datasets', kind: 'json', role: 'viewer' },
  create_dataset: { verb: 'POST', path: '/apps/{owner}/{app}/datasets', kind: 'json', role: 'labeller' },
  freeze_dataset: { verb: 'POST', path: '/apps/{owner}/{app}/datasets/{dataset}/versions', kind: 'json', role: 'trainer' },
  dataset_versions: { verb: 'GET', path: '/apps/{owner}/{app}/datasets/{dataset}/versions', kind: 'json', role: 'viewer' },
  models: { verb: 'GET', path: '/apps/{owner}/{app}/models', kind: 'json', role: 'viewer' },
  create_model: { verb: 'POST', path: '/apps/{owner}/{app}/models', kind: 'json', role: 'trainer' },
  model: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}', kind: 'json', role: 'viewer' },
  update_model: { verb: 'PATCH', path: '/apps/{owner}/{app}/models/{model}', kind: 'json', role: 'trainer' },
  delete_model: { verb: 'DELETE', path: '/apps/{owner}/{app}/models/{model}', kind: 'json', role: 'trainer' },
  create_quote: { verb: 'POST', path: '/apps/{owner}/{app}/quotes', kind: 'json', role: 'trainer' },
  quote: { verb: 'GET', path: '/apps/{owner}/{app}/quotes/{quote}', kind: 'json', role: 'trainer' },
  delete_quote: { verb: 'DELETE', path: '/apps/{owner}/{app}/quotes/{quote}', kind: 'json', role: 'trainer' },
  versions: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}/versions', kind: 'json', role: 'viewer' },
  train: { verb: 'POST', path: '/apps/{owner}/{app}/models/{model}/versions', kind: 'json', role: 'trainer' },
  version: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}/versions/{version}', kind: 'json', role: 'viewer' },
  delete_version: { verb: 'DELETE', path: '/apps/{owner}/{app}/models/{model}/versions/{version}', kind: 'json', role: 'trainer' },
  stop_version: { verb: 'POST', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/stop', kind: 'json', role: 'trainer' },
  resume_version: { verb: 'POST', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/resume', kind: 'json', role: 'trainer' },
  events: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/events', kind: 'json', role: 'viewer' },
  log: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/log', kind: 'json', role: 'viewer' },
  spec: { verb: 'GET', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/spec', kind: 'json', role: 'viewer' },
  predict: { verb: 'POST', path: '/apps/{owner}/{app}/models/{model}/versions/{version}/predict', kind: 'json', role: 'viewer' },
} as const;

export type Name = keyof typeof OPERATIONS;

export interface Answers {
  me: Me;
  machine: Machine;
  events_stream: unknown;
  running: ModelVersion[];
  usage: Usage[];
  shutdown: Count;
  templates: TemplateList;
  check_params: CheckedParams;
  apps: App[];
  create_app: App;
  app: App;
  delete_app: Count;
  inputs: InputPage;
  count_inputs: Count;
  edit_inputs: Edited;
  delete_inputs: Edited;
  restore_inputs: Edited;
  input: InputDetail;
  picture: unknown;
  thumbnail: unknown;
  create_upload: Upload;
  upload_file: UploadedFile;
  concepts: Concept[];
  create_concepts: Concept[];
  annotate: Edited;
  annotate_regions: AnnotatedRegions;
  datasets: Dataset[];
  create_dataset: Dataset;
  freeze_dataset: DatasetVersion;
  dataset_versions: DatasetVersion[];
  models: Model[];
  create_model: Model;
  model: Model;
  update_model: Model;
  delete_model: Count;
  create_quote: Quote;
  quote: Quote;
  delete_quote: Quote;
  versions: ModelVersion[];
  train: ModelVersion;
  version: ModelVersion;
  delete_version: ModelVersion;
  stop_version: ModelVersion;
  resume_version: ModelVersion;
  events: EventPage;
  log: LogPage;
  spec: Record<string, unknown>;
  predict: Predictions;
}

export interface Bodies {
  shutdown: Shutdown;
  check_params: CheckParams;
  create_app: CreateApp;
  edit_inputs: EditInputs;
  delete_inputs: InputIds;
  restore_inputs: InputIds;
  create_upload: CreateUpload;
  create_concepts: CreateConcepts;
  annotate: Annotate;
  annotate_regions: AnnotateRegions;
  create_dataset: CreateDataset;
  create_model: CreateModel;
  update_model: UpdateModel;
  create_quote: CreateQuote;
  train: Train;
  predict: Predict;
}

export interface Queries {
  events_stream: StreamQuery;
  inputs: InputQuery;
  count_inputs: InputQuery;
  thumbnail: PictureQuery;
  upload_file: UploadQuery;
  events: EventQuery;
  log: LogQuery;
}

export interface Parameters {
  me: Record<string, never>;
  machine: Record<string, never>;
  events_stream: Record<string, never>;
  running: Record<string, never>;
  usage: Record<string, never>;
  shutdown: Record<string, never>;
  templates: Record<string, never>;
  check_params: { template: string };
  apps: Record<string, never>;
  create_app: Record<string, never>;
  app: { owner: string; app: string };
  delete_app: { owner: string; app: string };
  inputs: { owner: string; app: string };
  count_inputs: { owner: string; app: string };
  edit_inputs: { owner: string; app: string };
  delete_inputs: { owner: string; app: string };
  restore_inputs: { owner: string; app: string };
  input: { owner: string; app: string; input: string };
  picture: { owner: string; app: string; input: string };
  thumbnail: { owner: string; app: string; input: string };
  create_upload: { owner: string; app: string };
  upload_file: { owner: string; app: string; upload: string };
  concepts: { owner: string; app: string };
  create_concepts: { owner: string; app: string };
  annotate: { owner: string; app: string };
  annotate_regions: { owner: string; app: string };
  datasets: { owner: string; app: string };
  create_dataset: { owner: string; app: string };
  freeze_dataset: { owner: string; app: string; dataset: string };
  dataset_versions: { owner: string; app: string; dataset: string };
  models: { owner: string; app: string };
  create_model: { owner: string; app: string };
  model: { owner: string; app: string; model: string };
  update_model: { owner: string; app: string; model: string };
  delete_model: { owner: string; app: string; model: string };
  create_quote: { owner: string; app: string };
  quote: { owner: string; app: string; quote: string };
  delete_quote: { owner: string; app: string; quote: string };
  versions: { owner: string; app: string; model: string };
  train: { owner: string; app: string; model: string };
  version: { owner: string; app: string; model: string; version: string };
  delete_version: { owner: string; app: string; model: string; version: string };
  stop_version: { owner: string; app: string; model: string; version: string };
  resume_version: { owner: string; app: string; model: string; version: string };
  events: { owner: string; app: string; model: string; version: string };
  log: { owner: string; app: string; model: string; version: string };
  spec: { owner: string; app: string; model: string; version: string };
  predict: { owner: string; app: string; model: string; version: string };
}
