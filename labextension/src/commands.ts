/** The commands: everything that the sidebar's controls do, also by palette, shortcut and menu. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { addIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { Context } from '@deepft-lab/parts';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { notifyError } from './context';
import { createApp, createConcepts, deleteApp, deleteModel } from './dialogs';
import { inputsIcon, labIcon, modelIcon, uploadIcon } from './icons';
import { type MainArea, toTarget } from './mainArea';
import type { AppKey, LabModel } from './model';
import { openStory } from './story';

export const CATEGORY = 'DeepFT Lab';

export const CommandIDs = {
  show: 'deepft-lab:show',
  refresh: 'deepft-lab:refresh',
  createApp: 'deepft-lab:create-app',
  chooseApp: 'deepft-lab:choose-app',
  showApps: 'deepft-lab:show-apps',
  deleteApp: 'deepft-lab:delete-app',
  createConcepts: 'deepft-lab:create-concepts',
  open: 'deepft-lab:open',
  openInputs: 'deepft-lab:open-inputs',
  upload: 'deepft-lab:upload',
  createModel: 'deepft-lab:create-model',
  deleteModel: 'deepft-lab:delete-model',
  openStory: 'deepft-lab:open-story',
} as const;

interface Surroundings {
  application: JupyterFrontEnd;
  lab: LabModel;
  context: Required<Context>;
  area: MainArea;
  sidebar: string;
  palette: ICommandPalette | null;
}

export function addCommands({ application, lab, context, area, sidebar, palette }: Surroundings): void {
  const { commands, shell } = application;
  const isEnabled = (): boolean => lab.chosen !== null;
  const inApp = (kind: 'inputs' | 'upload' | 'model') => () =>
    lab.chosen && area.open({ kind, ...lab.chosen });

  commands.addCommand(CommandIDs.show, {
    label: (args) => (args['isLauncher'] ? 'Apps and models' : 'Show DeepFT Lab'),
    caption: 'Show the sidebar with apps, models and trainings',
    icon: (args) => (args['isPalette'] ? undefined : labIcon),
    execute: () => shell.activateById(sidebar),
  });
  commands.addCommand(CommandIDs.refresh, {
    label: 'Refresh DeepFT Lab',
    caption: 'Read apps, models and trainings again',
    icon: (args) => (args['isPalette'] ? undefined : refreshIcon),
    execute: () => lab.refresh(),
  });
  commands.addCommand(CommandIDs.createApp, {
    label: 'Create an App…',
    caption: 'Create an app: a place for inputs, concepts, datasets and models',
    icon: (args) => (args['isPalette'] ? undefined : addIcon),
    execute: async () => {
      const app = await createApp(context.client);
      if (app) {
        shell.activateById(sidebar);
        await lab.choose({ owner: app.owner, app: app.id });
      }
    },
  });
  commands.addCommand(CommandIDs.chooseApp, {
    label: (args) => String(args['app'] ?? 'Choose an app'),
    caption: (args) => `Show the app ${String(args['app'] ?? '')} in the sidebar`,
    isToggleable: true,
    isToggled: (args) => lab.chosen?.app === args['app'] && lab.chosen?.owner === args['owner'],
    execute: async (args) => {
      const key = toKey(args);
      shell.activateById(sidebar);
      await lab.choose(key);
    },
  });
  commands.addCommand(CommandIDs.showApps, {
    label: 'All Apps',
    caption: 'Show the list of apps in the sidebar',
    execute: () => lab.choose(null),
  });
  commands.addCommand(CommandIDs.deleteApp, {
    label: 'Delete App…',
    caption: 'Delete the chosen app with all that is in it',
    isEnabled,
    execute: async () => {
      const app = lab.contents?.app;
      if (app && (await deleteApp(context.client, app))) {
        area.close({ owner: app.owner, app: app.id });
        await lab.choose(null);
      }
    },
  });
  commands.addCommand(CommandIDs.createConcepts, {
    label: 'Create Concepts…',
    caption: 'Create concepts in the chosen app',
    isEnabled,
    execute: async () => {
      if (lab.chosen && (await createConcepts(context.client, lab.chosen))) {
        await lab.refresh();
      }
    },
  });
  commands.addCommand(CommandIDs.open, {
    label: (args) => `Open ${String(args['version'] ?? args['model'] ?? args['kind'] ?? '')}`.trim(),
    caption: 'Open a page of DeepFT Lab',
    execute: (args) => {
      const target = toTarget(args);
      if (!target) {
        throw new Error(
          `${CommandIDs.open} needs kind, owner and app; it was given ${JSON.stringify(args)}.`,
        );
      }
      return area.open(target);
    },
  });
  commands.addCommand(CommandIDs.openInputs, {
    label: 'Open Inputs',
    caption: 'See and label the inputs of the chosen app',
    icon: (args) => (args['isPalette'] ? undefined : inputsIcon),
    isEnabled,
    execute: inApp('inputs'),
  });
  commands.addCommand(CommandIDs.upload, {
    label: 'Upload Inputs…',
    caption: 'Upload images to the chosen app',
    icon: (args) => (args['isPalette'] ? undefined : uploadIcon),
    isEnabled,
    execute: inApp('upload'),
  });
  commands.addCommand(CommandIDs.createModel, {
    label: 'Create a Model…',
    caption: 'Choose a template and create a model in the chosen app',
    icon: (args) => (args['isPalette'] ? undefined : modelIcon),
    isEnabled,
    execute: inApp('model'),
  });
  commands.addCommand(CommandIDs.deleteModel, {
    label: 'Delete Model…',
    caption: 'Delete a model with its versions',
    execute: async (args) => {
      const { owner, app } = toKey(args);
      const id = String(args['model']);
      try {
        const model = await context.client.call('model', { params: { owner, app, model: id } });
        if (await deleteModel(context.client, model)) {
          area.close({ owner, app, model: id });
          await lab.refresh();
        }
      } catch (error) {
        notifyError(`The model ${id} could not be opened`, error);
      }
    },
  });
  commands.addCommand(CommandIDs.openStory, {
    label: 'Open the First App Notebook',
    caption: 'A notebook that tells the whole story once, on handwritten digits',
    execute: () => openStory(application),
  });

  // A command's label changes with the chosen app, or it can be run now where it could not before.
  lab.changed.connect(() => commands.notifyCommandChanged());

  const listed = [
    CommandIDs.show,
    CommandIDs.createApp,
    CommandIDs.openInputs,
    CommandIDs.upload,
    CommandIDs.createConcepts,
    CommandIDs.createModel,
    CommandIDs.deleteApp,
    CommandIDs.refresh,
    CommandIDs.openStory,
  ];
  for (const command of listed) {
    palette?.addItem({ command, category: CATEGORY, args: { isPalette: true } });
  }
}

function toKey(args: ReadonlyPartialJSONObject): AppKey {
  return { owner: String(args['owner'] ?? ''), app: String(args['app'] ?? '') };
}
