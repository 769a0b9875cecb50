/**
 * Draws `application/vnd.deepft.panel+json`: the panels of a notebook.
 *
 * A panel is an ipywidget while its kernel lives, and then the widget's own renderer draws it, so that its traits follow.
 * Without a kernel, or when the kernel does not know the widget (a notebook that was saved and opened again), the part is
 * drawn from here: it talks to the server, so it is alive as well.
 */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { type Context, mountPanel, type PanelTarget, type Part } from '@deepft-lab/parts';
import { Panel, Widget } from '@lumino/widgets';

export const PANEL_MIME = 'application/vnd.deepft.panel+json';
const WIDGET_MIME = 'application/vnd.jupyter.widget-view+json';

/** Below the widget renderer's -10, so that this one is asked first. */
const RANK = -20;

/** Milliseconds between the attempts to have the widget drawn: its manager may come a while after the kernel. */
const PAUSES = [0, 300, 1000, 2000, 4000];

const PATIENCE = 1500; // milliseconds for one attempt

/** Where a notebook's own renderers are, and whether it has a kernel. */
export interface Surroundings {
  create(mimeType: string, options: IRenderMime.IRendererOptions): IRenderMime.IRenderer;
  known(mimeType: string): boolean;
  kernel(): boolean;
  /** Resolves once the notebook has its kernel, a new one or the one that it had before a reload. */
  ready(): Promise<void>;
}

/** `safe`: the part takes ids from the output and nothing else; a widget is created only in a trusted notebook. */
export function panelFactory(
  context: Context,
  surroundings: Surroundings | null = null,
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [PANEL_MIME],
    defaultRank: RANK,
    createRenderer: (options) => new PanelRenderer(context, surroundings, options),
  };
}

export class PanelRenderer extends Panel implements IRenderMime.IRenderer {
  private part: Part | null = null;
  private target: PanelTarget | null = null;
  private view = '';

  constructor(
    private readonly context: Context,
    private readonly surroundings: Surroundings | null,
    private readonly options: IRenderMime.IRendererOptions,
  ) {
    super();
    this.addClass('deepft-Panel');
    this.node.dataset['testid'] = 'deepft-panel';
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const view = JSON.stringify([model.trusted, model.data[PANEL_MIME], model.data[WIDGET_MIME]]);
    if (view === this.view) {
      return; // The kernel has only brought the picture up to date.
    }
    this.view = view;
    this.target = model.data[PANEL_MIME] as unknown as PanelTarget;
    const { surroundings } = this;
    if (!surroundings || !model.trusted || !model.data[WIDGET_MIME]) {
      this.draw();
    } else if (surroundings.kernel()) {
      // Not awaited: a widget that is still loading must not hold the notebook up.
      void this.drawWidget(model, surroundings).then((drawn) => drawn || this.draw());
    } else {
      this.draw();
      void surroundings.ready().then(() => this.drawWidget(model, surroundings));
    }
  }

  override dispose(): void {
    this.clear();
    super.dispose();
  }

  /** The part, from here. */
  private draw(): void {
    if (this.isDisposed || !this.target) {
      return;
    }
    this.clear();
    const host = new Widget();
    host.addClass('deepft-Panel-host');
    this.addWidget(host);
    this.part = mountPanel(host.node, this.context, this.target);
    this.node.dataset['drawn'] = 'part';
  }

  /** The widget, in the place of what is there. False when the kernel does not have it. */
  private async drawWidget(model: IRenderMime.IMimeModel, surroundings: Surroundings): Promise<boolean> {
    for (const pause of PAUSES) {
      await sleep(pause);
      if (this.isDisposed) {
        return false;
      }
      if (!surroundings.known(WIDGET_MIME)) {
        continue;
      }
      const inner = surroundings.create(WIDGET_MIME, { ...this.options, mimeType: WIDGET_MIME });
      inner.setHidden(this.part !== null);
      this.addWidget(inner);
      await Promise.race([inner.renderModel(model).catch(() => undefined), sleep(PATIENCE)]);
      if (this.isDisposed) {
        return false;
      }
      if (isDrawn(inner)) {
        this.clear(inner);
        inner.show();
        this.node.dataset['drawn'] = 'widget';
        return true;
      }
      const lost = inner.node.textContent?.startsWith('Error') ?? false;
      inner.dispose();
      if (lost) {
        return false;
      }
    }
    return false;
  }

  private clear(but?: Widget): void {
    this.part?.dispose();
    this.part = null;
    for (const widget of [...this.widgets]) {
      if (widget !== but) {
        widget.dispose();
      }
    }
  }
}

/** Where the widget renderer has no widget it holds a text alone: "Loading widget...", or an error. */
function isDrawn(inner: IRenderMime.IRenderer): boolean {
  return !inner.isDisposed && inner.node.childElementCount > 0;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, milliseconds));
}
