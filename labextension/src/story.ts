/** The notebook that tells the story: a copy goes to the user's files, so it can be run and changed. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { notifyError } from './context';
import story from './story.json';

const NAME = 'deepft-first-app.ipynb';

/** Opens the copy, and makes it first when there is none. */
export async function openStory(application: JupyterFrontEnd): Promise<void> {
  const { contents } = application.serviceManager;
  try {
    const exists = await contents.get(NAME, { content: false }).then(
      () => true,
      () => false,
    );
    if (!exists) {
      await contents.save(NAME, { type: 'notebook', format: 'json', content: story });
    }
    await application.commands.execute('docmanager:open', { path: NAME });
  } catch (error) {
    notifyError(`The notebook ${NAME} could not be opened`, error);
  }
}
