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

const PATIENCE = 3000; // milliseconds until a widget that only says "Loading" counts as lost

/** Where a notebook's own renderers are, and whether it has a kernel. */
export interface Surroundings {
  create(mimeType: string, options: IRenderMime.IRendererOptions): IRenderMime.IRenderer;
  known(mimeType: string): boolean;
  kernel(): boolean;
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
  private readonly host = new Widget();

  constructor(
    private readonly context: Context,
    private readonly surroundings: Surroundings | null,
    private readonly options: IRenderMime.IRendererOptions,
  ) {
    super();
    this.addClass('deepft-Panel');
    this.host.addClass('deepft-Panel-host');
    this.node.dataset['testid'] = 'deepft-panel';
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.target = model.data[PANEL_MIME] as unknown as PanelTarget;
    const { surroundings } = this;
    const delegate =
      model.trusted && model.data[WIDGET_MIME] && surroundings?.kernel() && surroundings.known(WIDGET_MIME);
    if (delegate && surroundings) {
      const inner = surroundings.create(WIDGET_MIME, { ...this.options, mimeType: WIDGET_MIME });
      this.addWidget(inner);
      // Not awaited: a widget that is still loading must not hold the notebook up.
      void settle(inner, model).then((drawn) => {
        if (!drawn && !this.isDisposed) {
          inner.dispose();
          this.draw();
        }
      });
    } else {
      this.draw();
    }
  }

  override dispose(): void {
    this.part?.dispose();
    this.part = null;
    super.dispose();
  }

  private draw(): void {
    this.part?.dispose();
    this.addWidget(this.host);
    this.node.dataset['drawn'] = 'part';
    if (this.target) {
      this.part = mountPanel(this.host.node, this.context, this.target);
    }
  }
}

/** True once the widget is drawn; false when its model is not found, or it goes on loading. */
async function settle(inner: IRenderMime.IRenderer, model: IRenderMime.IMimeModel): Promise<boolean> {
  const rendered = inner.renderModel(model).then(
    () => true,
    () => false,
  );
  const late = new Promise<boolean>((resolve) => window.setTimeout(() => resolve(true), PATIENCE));
  if (!(await Promise.race([rendered, late]))) {
    return false;
  }
  if (isDrawn(inner)) {
    return true;
  }
  // The renderer says "Loading widget..." until the kernel's widgets are known, and then tries by itself again.
  if (!inner.node.textContent?.startsWith('Error')) {
    await new Promise((resolve) => window.setTimeout(resolve, PATIENCE));
  }
  return isDrawn(inner);
}

/** The widget renderer holds a text where it has no widget. */
function isDrawn(inner: IRenderMime.IRenderer): boolean {
  return inner.isDisposed || inner.node.childElementCount > 0;
}
