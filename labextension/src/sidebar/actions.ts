/** What the sidebar's controls do: each runs a command, so the palette and the keyboard do the same. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MenuSvg } from '@jupyterlab/ui-components';
import type { App, Model } from '@deepft-lab/parts';
import { CommandIDs } from '../commands';
import type { LabModel } from '../model';

export interface Place {
  x: number;
  y: number;
}

export interface Actions {
  refresh(): void;
  createApp(): void;
  openStory(): void;
  chooseApp(app: App): void;
  switchApp(place: Place): void;
  appMenu(place: Place): void;
  openInputs(): void;
  upload(): void;
  createConcepts(): void;
  createModel(): void;
  openModel(model: Model): void;
  modelMenu(model: Model, place: Place): void;
}

export function createActions(application: JupyterFrontEnd, lab: LabModel): Actions {
  const { commands } = application;
  const run = (command: string) => () => void commands.execute(command);
  const modelArgs = (model: Model) => ({ owner: model.owner, app: model.app, model: model.id });

  function menu(place: Place, fill: (menu: MenuSvg) => void): void {
    const opened = new MenuSvg({ commands });
    fill(opened);
    // A menu runs its item after it has closed, so it lives one turn longer.
    opened.aboutToClose.connect(() => void window.setTimeout(() => opened.dispose(), 0));
    opened.open(place.x, place.y);
  }

  return {
    refresh: run(CommandIDs.refresh),
    createApp: run(CommandIDs.createApp),
    openStory: run(CommandIDs.openStory),
    openInputs: run(CommandIDs.openInputs),
    upload: run(CommandIDs.upload),
    createConcepts: run(CommandIDs.createConcepts),
    createModel: run(CommandIDs.createModel),
    chooseApp: (app) => void commands.execute(CommandIDs.chooseApp, { owner: app.owner, app: app.id }),
    openModel: (model) => void commands.execute(CommandIDs.open, { kind: 'model', ...modelArgs(model) }),
    switchApp: (place) =>
      menu(place, (opened) => {
        for (const app of lab.apps ?? []) {
          const args = { owner: app.owner, app: app.id };
          opened.addItem({ command: CommandIDs.chooseApp, args });
        }
        opened.addItem({ type: 'separator' });
        opened.addItem({ command: CommandIDs.createApp });
        opened.addItem({ command: CommandIDs.showApps });
      }),
    appMenu: (place) =>
      menu(place, (opened) => {
        for (const command of [CommandIDs.openInputs, CommandIDs.upload, CommandIDs.createModel]) {
          opened.addItem({ command });
        }
        opened.addItem({ type: 'separator' });
        opened.addItem({ command: CommandIDs.deleteApp });
      }),
    modelMenu: (model, place) =>
      menu(place, (opened) => {
        opened.addItem({ command: CommandIDs.open, args: { kind: 'model', ...modelArgs(model) } });
        opened.addItem({ type: 'separator' });
        opened.addItem({ command: CommandIDs.deleteModel, args: modelArgs(model) });
      }),
  };
}
