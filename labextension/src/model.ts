/**
 * What the sidebar knows: the apps, the chosen one with its contents, what runs, the machine, and the connection.
 *
 * The page's one stream says when something changed; what changed is then read again. While nobody looks nothing is
 * read, but for the stream's own messages, which the toasts need.
 */
import type { IStateDB } from '@jupyterlab/statedb';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';
import type {
  App,
  Client,
  Concept,
  Dataset,
  Machine,
  Me,
  Model,
  ModelVersion,
  Stream,
  StreamMessage,
} from '@deepft-lab/parts';

/** Names an app. */
export interface AppKey {
  readonly owner: string;
  readonly app: string;
}

/** The chosen app and what is in it. Versions are newest first, by model. */
export interface Contents {
  readonly app: App;
  readonly concepts: readonly Concept[];
  readonly datasets: readonly Dataset[];
  readonly models: readonly Model[];
  readonly versions: ReadonlyMap<string, readonly ModelVersion[]>;
}

const REMEMBERED = 'deepft-lab:app';
const REFRESH_PAUSE = 250; // milliseconds; an upload says "changed" for every file
const MACHINE_PAUSE = 5000;
const LOST_PAUSE = 3000;

export class LabModel implements IDisposable {
  me: Me | null = null;
  apps: readonly App[] | null = null;
  chosen: AppKey | null = null;
  contents: Contents | null = null;
  running: readonly ModelVersion[] = [];
  machine: Machine | null = null;
  connected = true;
  busy = false;
  error: unknown = null;
  isDisposed = false;

  private readonly _changed = new Signal<this, void>(this);
  private readonly _finished = new Signal<this, ModelVersion>(this);
  private readonly unfinished = new Set<string>();
  private readonly restored: Promise<void>;
  private readonly unsubscribe: () => void;
  private looking = false;
  private machineWanted = false;
  private stale = true;
  private again = false;
  private timer = 0;
  private machineTimer = 0;
  private lostTimer = 0;

  constructor(
    readonly client: Client,
    stream: Stream,
    private readonly state: IStateDB,
  ) {
    this.restored = restore(state).then((key) => {
      this.chosen = key;
    });
    this.unsubscribe = stream.subscribe((message) => this.take(message));
  }

  /** Something is different. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** A version that was not finished is trained or failed now. */
  get finished(): ISignal<this, ModelVersion> {
    return this._finished;
  }

  /** The sidebar is shown or hidden. */
  setLooking(looking: boolean): void {
    this.looking = looking;
    if (looking && this.stale) {
      void this.refresh();
    }
    this.pollMachine();
  }

  /** The machine's figures are shown or folded away. */
  setMachineWanted(wanted: boolean): void {
    this.machineWanted = wanted;
    this.pollMachine();
  }

  /** Shows an app, or with null the list of apps, and remembers that. */
  async choose(key: AppKey | null): Promise<void> {
    this.chosen = key && { owner: key.owner, app: key.app };
    this.contents = null;
    await this.state.save(REMEMBERED, { owner: key?.owner ?? '', app: key?.app ?? '' });
    await this.refresh();
  }

  /** Reads everything again. A failure is kept in `error`, with what was known before. */
  async refresh(): Promise<void> {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    this.stale = false;
    this._changed.emit();
    try {
      await this.restored;
      do {
        this.again = false;
        await this.read();
      } while (this.again && !this.isDisposed);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.busy = false;
    this._changed.emit();
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.isDisposed = true;
      this.unsubscribe();
      window.clearTimeout(this.timer);
      window.clearTimeout(this.lostTimer);
      window.clearInterval(this.machineTimer);
      Signal.clearData(this);
    }
  }

  private async read(): Promise<void> {
    const { client } = this;
    const [me, apps, running, machine] = await Promise.all([
      this.me ?? client.call('me'),
      client.call('apps'),
      client.call('running'),
      client.call('machine'),
    ]);
    this.me = me;
    this.apps = apps;
    this.running = running;
    this.machine = machine;
    running.forEach((version) => this.unfinished.add(version.job));
    const exists = apps.some((app) => app.owner === this.chosen?.owner && app.id === this.chosen.app);
    if (!exists) {
      this.chosen = apps.length === 1 ? { owner: apps[0].owner, app: apps[0].id } : null;
      this.contents = null;
    }
    this._changed.emit();
    const { chosen } = this;
    const contents = chosen && (await this.readContents(chosen));
    if (chosen === this.chosen) {
      this.contents = contents;
    }
  }

  private async readContents(key: AppKey): Promise<Contents> {
    const params = { owner: key.owner, app: key.app };
    const { client } = this;
    const [app, concepts, datasets, models] = await Promise.all([
      client.call('app', { params }),
      client.call('concepts', { params }),
      client.call('datasets', { params }),
      client.call('models', { params }),
    ]);
    const lists = await Promise.all(
      models.map((model) =>
        model.versions > 0 ? client.call('versions', { params: { ...params, model: model.id } }) : [],
      ),
    );
    const versions = new Map(models.map((model, index) => [model.id, lists[index].filter(isThere)]));
    return { app, concepts, datasets, models, versions };
  }

  private take(message: StreamMessage): void {
    if (message.kind === 'version') {
      this.takeVersion(message.data);
    } else if (message.kind === 'changed') {
      this.schedule();
    } else if (message.kind === 'connection') {
      this.takeConnection(message.connected);
    }
  }

  /** A connection that is soon back is not worth a word. */
  private takeConnection(connected: boolean): void {
    window.clearTimeout(this.lostTimer);
    if (connected) {
      this.connected = true;
      this.schedule();
      this._changed.emit();
    } else {
      this.lostTimer = window.setTimeout(() => {
        this.connected = false;
        this._changed.emit();
      }, LOST_PAUSE);
    }
  }

  private takeVersion(version: ModelVersion): void {
    const known = this.unfinished.has(version.job);
    if (isFinished(version)) {
      this.unfinished.delete(version.job);
      this.running = this.running.filter((other) => other.job !== version.job);
      if (known && version.state !== 'deleted') {
        this._finished.emit(version);
      }
    } else {
      this.unfinished.add(version.job);
      this.running = replaced(this.running, version);
    }
    const { contents } = this;
    if (contents && contents.app.owner === version.owner && contents.app.id === version.app) {
      const versions = new Map(contents.versions);
      versions.set(version.model, replaced(versions.get(version.model) ?? [], version, true).filter(isThere));
      this.contents = { ...contents, versions };
    }
    this._changed.emit();
  }

  /** Reads again soon, once for many messages; or when somebody looks. */
  private schedule(): void {
    if (!this.looking) {
      this.stale = true;
    } else if (!this.timer) {
      this.timer = window.setTimeout(() => {
        this.timer = 0;
        void this.refresh();
      }, REFRESH_PAUSE);
    }
  }

  private pollMachine(): void {
    window.clearInterval(this.machineTimer);
    if (this.looking && this.machineWanted) {
      this.machineTimer = window.setInterval(() => void this.readMachine(), MACHINE_PAUSE);
      void this.readMachine();
    }
  }

  private async readMachine(): Promise<void> {
    if (document.hidden) {
      return;
    }
    try {
      this.machine = await this.client.call('machine');
      this._changed.emit();
    } catch {
      // The connection's state is shown already; the next reading tries again.
    }
  }
}

export function isFinished(version: ModelVersion): boolean {
  return version.state === 'trained' || version.state === 'failed' || version.state === 'deleted';
}

function isThere(version: ModelVersion): boolean {
  return version.state !== 'deleted';
}

/** The list with the version in its place; a new one comes first or last. */
function replaced(list: readonly ModelVersion[], version: ModelVersion, first = false): ModelVersion[] {
  if (list.some((other) => other.job === version.job)) {
    return list.map((other) => (other.job === version.job ? version : other));
  }
  return first ? [version, ...list] : [...list, version];
}

async function restore(state: IStateDB): Promise<AppKey | null> {
  const value = (await state.fetch(REMEMBERED).catch(() => undefined)) as Partial<AppKey> | undefined;
  return value?.owner && value.app ? { owner: value.owner, app: value.app } : null;
}
