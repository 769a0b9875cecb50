/** The page of a model: its template and hyperparameters, and its versions. */
import { modelForm, versionRow } from '@deepft-lab/parts';
import type { AppTarget, Context, ModelVersion, Part, VersionRow } from '@deepft-lab/parts';

export function modelPage(
  host: HTMLElement,
  context: Required<Context>,
  target: AppTarget & { model?: string },
  created: (model: string) => void,
): Part {
  const { owner, app } = target;
  const list = document.createElement('div');
  const body = document.createElement('div');
  body.className = 'deepft-Page-main';
  host.append(list, body);
  let versions: Part | null = null;
  const showVersions = (model: string): void => {
    versions ??= versionList(list, context, { owner, app, model });
  };
  if (target.model) {
    showVersions(target.model);
  }
  // The tab takes the model's name when it is created; a toast would only cover the form's buttons.
  const quiet: Context = {
    ...context,
    notify: (message, kind) => kind !== 'success' && context.notify(message, kind),
  };
  const form = modelForm(body, quiet, {
    owner,
    app,
    model: target.model,
    onCreated: (model) => {
      showVersions(model.id);
      if (target.model !== model.id) {
        created(model.id);
      }
    },
    onTrain: (version) =>
      context.open({ kind: 'version', owner, app, model: version.model, version: version.id }),
  });
  return {
    dispose: () => {
      form.dispose();
      versions?.dispose();
      host.replaceChildren();
    },
  };
}

/** A model's versions, newest first, live. Shows nothing while there are none. */
function versionList(
  host: HTMLElement,
  context: Required<Context>,
  target: AppTarget & { model: string },
): Part {
  const rows = new Map<string, VersionRow>();
  const heading = document.createElement('h3');
  heading.textContent = `Versions of ${target.model}`;
  const list = document.createElement('div');
  list.className = 'deepft-VersionList-rows';
  host.classList.add('deepft-VersionList', 'dft-part');
  host.dataset['testid'] = 'version-list';
  host.hidden = true;
  host.append(heading, list);

  const take = (version: ModelVersion, first: boolean): void => {
    const { owner, app, model } = target;
    if (version.owner !== owner || version.app !== app || version.model !== model) {
      return;
    }
    const row = rows.get(version.id);
    if (version.state === 'deleted') {
      row?.dispose();
      rows.delete(version.id);
    } else if (row) {
      row.update(version);
    } else {
      const made = versionRow(context, version);
      rows.set(version.id, made);
      list[first ? 'prepend' : 'append'](made.element);
    }
    host.hidden = rows.size === 0;
  };
  const unsubscribe = context.stream.subscribe((message) => {
    if (message.kind === 'version') {
      take(message.data, true);
    }
  });
  context.client
    .call('versions', { params: target })
    .then((versions) => versions.forEach((version) => take(version, false)))
    .catch((error) => console.warn(`The versions of ${target.model} could not be read.`, error));
  return {
    dispose: () => {
      unsubscribe();
      rows.forEach((row) => row.dispose());
      host.replaceChildren();
    },
  };
}
