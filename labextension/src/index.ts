/** The JupyterLab plugin: sidebar, pages, commands and notebook panels of DeepFT Lab. */
import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import { ILauncher } from '@jupyterlab/launcher';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import type { Widget } from '@lumino/widgets';
import { type Context, sharePage } from '@deepft-lab/parts';
import { addCommands, CATEGORY, CommandIDs } from './commands';
import { createContext } from './context';
import { MainArea } from './mainArea';
import { LabModel } from './model';
import { PANEL_MIME, panelFactory } from './renderer';
import { Sidebar } from './sidebar';
import { toastFinished } from './toasts';

/** Beside the file browser's 100, before running sessions. */
const SIDEBAR_RANK = 150;

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'deepft-lab:plugin',
  description: 'Sidebar, pages, commands and notebook panels of DeepFT Lab.',
  autoStart: true,
  requires: [IStateDB, IRenderMimeRegistry],
  optional: [ILabShell, ILayoutRestorer, ICommandPalette, ILauncher, ISettingRegistry],
  activate: (
    application: JupyterFrontEnd,
    state: IStateDB,
    rendermime: IRenderMimeRegistry,
    shell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    registry: ISettingRegistry | null,
  ) => {
    const context = createContext(application);
    addPanels(application, rendermime, context);
    // Panels that the kernel's widgets draw use the page's dialogs, toasts and tabs too.
    sharePage(shell ? context : { ...context, open: undefined });
    if (!shell) {
      return; // A single-document shell has no sidebar; panels are drawn there too.
    }
    const lab = new LabModel(context.client, context.stream, state);
    const area = new MainArea(application, context);
    const sidebar = new Sidebar(application, lab, context);
    addCommands({ application, lab, context, area, sidebar: sidebar.id, palette });
    toastFinished(lab, context, registry ? registry.load(plugin.id) : null);
    shell.add(sidebar, 'left', { rank: SIDEBAR_RANK, type: CATEGORY });
    restorer?.add(sidebar, sidebar.id);
    if (restorer) {
      area.restore(restorer);
    }
    launcher?.add({ command: CommandIDs.show, args: { isLauncher: true }, category: CATEGORY, rank: 1 });
  },
};

/** The renderer of panels: everywhere, and in notebooks with their widget manager behind it. */
function addPanels(application: JupyterFrontEnd, rendermime: IRenderMimeRegistry, context: Context): void {
  rendermime.addFactory(panelFactory(context));
  application.docRegistry.addWidgetExtension('Notebook', {
    createNew: (
      widget: Widget,
      document: DocumentRegistry.IContext<DocumentRegistry.IModel>,
    ): IDisposable => {
      const own = (widget as IDocumentWidget<Widget & { rendermime: IRenderMimeRegistry }>).content
        .rendermime;
      own.addFactory(
        panelFactory(context, {
          create: (mimeType, options) => own.getFactory(mimeType)!.createRenderer(options),
          known: (mimeType) => own.getFactory(mimeType) !== undefined,
          kernel: () => Boolean(document.sessionContext.session?.kernel),
          ready: () => document.sessionContext.ready,
        }),
      );
      return new DisposableDelegate(() => own.removeMimeType(PANEL_MIME));
    },
  });
}

export default plugin;
