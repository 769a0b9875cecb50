/** The tabs of the main area: one for each thing that may be opened. They come back after a reload. */
import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { Context, Target } from '@deepft-lab/parts';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { CommandIDs } from './commands';
import { inputsIcon, modelIcon, predictIcon, versionIcon } from './icons';
import { type GuardedPart, inputsPage } from './pages/inputs';
import { modelPage } from './pages/model';
import { versionPage } from './pages/version';

/** A page of the main area: a part, and what it is about. */
export class Page extends Widget {
  private part: GuardedPart | null = null;

  constructor(
    private readonly context: Required<Context>,
    public target: Target,
    private readonly retargeted: (page: Page) => void,
  ) {
    super();
    this.addClass('deepft-Page');
    this.node.dataset['testid'] = `page-${target.kind}`;
    this.node.tabIndex = -1;
    this.name();
  }

  /** The page is about something else now: a model that was created has a name. */
  retarget(target: Target): void {
    this.target = target;
    this.name();
    this.retargeted(this);
  }

  /** Asks for the uploader of an inputs page. */
  reveal(target: Target): void {
    if (target.kind === 'upload') {
      this.node.dispatchEvent(new CustomEvent('deepft-upload'));
    }
  }

  /** Why closing loses something, or an empty string. */
  get unfinished(): string {
    return this.part?.unfinished?.() ?? '';
  }

  override dispose(): void {
    this.part?.dispose();
    this.part = null;
    super.dispose();
  }

  /** Parts measure their host, so they are mounted when it is in the page. */
  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.part ??= this.mount();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus();
    }
  }

  private mount(): GuardedPart {
    const { context, target, node } = this;
    switch (target.kind) {
      case 'inputs':
      case 'upload':
        return inputsPage(node, context, target);
      case 'model':
        return modelPage(node, context, target, (model) => this.retarget({ ...target, model }));
      case 'version':
      case 'predict':
        return versionPage(node, context, target);
    }
  }

  private name(): void {
    const { label, caption, icon } = describeTarget(this.target);
    this.title.label = label;
    this.title.caption = caption;
    this.title.icon = icon;
  }
}

/** A tab that asks first when closing it would lose something. */
class PageTab extends MainAreaWidget<Page> {
  constructor(
    page: Page,
    private readonly context: Required<Context>,
  ) {
    super({ content: page });
    this.toolbar.hide(); // it has no buttons
  }

  protected override onCloseRequest(message: Message): void {
    const body = this.content.unfinished;
    if (!body) {
      super.onCloseRequest(message);
      return;
    }
    const title = `Close ${this.title.label}?`;
    void this.context.confirm({ title, body, accept: 'Close', danger: true }).then((answer) => {
      if (answer === 'accept') {
        this.dispose();
      }
    });
  }
}

export type PageTracker = WidgetTracker<PageTab>;

/** The tabs, and the way to open one. */
export class MainArea {
  readonly tracker: PageTracker = new WidgetTracker({ namespace: 'deepft-lab' });

  constructor(
    private readonly application: JupyterFrontEnd,
    private readonly context: Required<Context>,
  ) {}

  restore(restorer: ILayoutRestorer): void {
    void restorer.restore(this.tracker, {
      command: CommandIDs.open,
      args: (widget) => toArgs(widget.content.target),
      name: (widget) => keyOf(widget.content.target),
    });
  }

  /** Opens a tab, or brings the one that is open to the front. */
  open(target: Target): PageTab {
    const key = keyOf(target);
    let widget = this.tracker.find((one) => keyOf(one.content.target) === key);
    if (!widget) {
      widget = this.create(target);
      this.application.shell.add(widget, 'main', { type: 'DeepFT Lab' });
      void this.tracker.add(widget);
    }
    this.application.shell.activateById(widget.id);
    widget.content.reveal(target);
    return widget;
  }

  /** Closes the tabs of an app, or of one model, that is deleted. */
  close(gone: { owner: string; app: string; model?: string }): void {
    this.tracker
      .filter(({ content: { target } }) => {
        const sameApp = target.owner === gone.owner && target.app === gone.app;
        return sameApp && (gone.model === undefined || ('model' in target && target.model === gone.model));
      })
      .forEach((widget) => widget.dispose());
  }

  private create(target: Target): PageTab {
    const page = new Page(this.context, target, () => {
      widget.id = idOf(page.target);
      void this.tracker.save(widget);
    });
    const widget = new PageTab(page, this.context);
    widget.id = idOf(target);
    widget.title.closable = true;
    return widget;
  }
}

/** What a command was given, as a target; null when it names none. */
export function toTarget(args: ReadonlyPartialJSONObject): Target | null {
  const text = (name: string): string => (typeof args[name] === 'string' ? (args[name] as string) : '');
  const [kind, owner, app, model, version] = ['kind', 'owner', 'app', 'model', 'version'].map(text);
  if (!owner || !app) {
    return null;
  }
  if (kind === 'inputs' || kind === 'upload') {
    return { kind, owner, app };
  }
  if (kind === 'model') {
    return model ? { kind, owner, app, model } : { kind, owner, app };
  }
  return (kind === 'version' || kind === 'predict') && model && version
    ? { kind, owner, app, model, version }
    : null;
}

/** A reload restores an inputs page without its uploader open. */
function toArgs(target: Target): ReadonlyPartialJSONObject {
  return { ...target, kind: target.kind === 'upload' ? 'inputs' : target.kind };
}

/** One tab for each key: inputs and their uploader are one page. */
function keyOf(target: Target): string {
  const kind = target.kind === 'upload' ? 'inputs' : target.kind;
  const model = 'model' in target && target.model ? target.model : '';
  const version = 'version' in target ? target.version : '';
  return [kind, target.owner, target.app, model, version].filter(Boolean).map(encodeURIComponent).join('/');
}

function idOf(target: Target): string {
  return `deepft-lab:${keyOf(target)}`;
}

function describeTarget(target: Target): { label: string; caption: string; icon: LabIcon } {
  const { app } = target;
  switch (target.kind) {
    case 'inputs':
    case 'upload':
      return { label: `${app}: Inputs`, caption: `Inputs of the app ${app}`, icon: inputsIcon };
    case 'model':
      return target.model
        ? { label: target.model, caption: `Model ${target.model} of the app ${app}`, icon: modelIcon }
        : { label: `${app}: New model`, caption: `A new model in the app ${app}`, icon: modelIcon };
    case 'version':
      return {
        label: `${target.model} ${target.version}`,
        caption: `${target.version} of the model ${target.model} in the app ${app}`,
        icon: versionIcon,
      };
    case 'predict':
      return {
        label: `Predict: ${target.model} ${target.version}`,
        caption: `Predict with ${target.version} of the model ${target.model} in the app ${app}`,
        icon: predictIcon,
      };
  }
}
