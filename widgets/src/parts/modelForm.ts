/** The model's form: identity, template, hyperparameters, and training; what it does is shown as Python. */
import type { CreateModel, Fault, Model, Train } from '../api';
import { ApiError } from '../client';
import { checkId, tokenField } from '../combobox';
import { button, failure, labelled, loading, messageOf, select, textInput } from '../controls';
import { notify } from '../dialogs';
import type { Context, ModelFormTarget, Part } from '../context';
import { debounce, fill, h, Scope } from '../dom';
import { plural } from '../format';
import { parameters } from '../form/parameters';
import { call, codeView, connectLines } from '../form/python';
import { templateCards } from '../form/templates';
import { trainingChoice } from '../form/training';

const TYPE_NAMES: Record<string, string> = {
  'visual-classifier': 'Visual classifier: concepts of a whole image',
};

export function modelForm(host: HTMLElement, context: Context, target: ModelFormTarget): Part {
  const scope = new Scope();
  const { client } = context;
  const appParams = { owner: target.owner, app: target.app };
  let model: Model | null = null;
  let saved = '';

  const type = select(Object.entries(TYPE_NAMES), { 'data-testid': 'model-type' });
  const id = textInput({ placeholder: 'ant-or-bee', 'data-testid': 'model-id', maxlength: 64 });
  const idFault = h('span', { class: 'dft-fault', role: 'alert', hidden: true, 'data-testid': 'fault-id' });
  const idField = labelled('Model id', id, { title: '1 to 64 letters, digits, “-” or “_”' });
  idField.append(idFault);
  const description = textInput({ placeholder: 'What is it for?', 'data-testid': 'model-description' });
  const concepts = tokenField({
    label: 'Concepts',
    placeholder: 'All concepts of the app',
    testid: 'model-concepts',
    onChange: () => changed(),
  });
  const fields = parameters(context, () => changed());
  const cards = templateCards((template) => {
    fields.setTemplate(template);
    changed();
  });
  const training = trainingChoice(() => {
    fields.setExamples(training.examples);
    changed();
  });
  const python = codeView('Show as Python', 'show-python');
  const outcome = h('div', { 'aria-live': 'polite' });
  const save = button({ label: 'Create model', testid: 'model-save', onClick: () => submit(false) });
  const train = button({
    label: 'Train',
    icon: 'play',
    kind: 'primary',
    testid: 'model-train',
    onClick: () => submit(true),
  });
  const title = h('h2', { class: 'dft-title' });

  const form = h(
    'div',
    { class: 'dft-form', hidden: true },
    title,
    h(
      'section',
      { class: 'dft-settings dft-identity', 'aria-label': 'Model' },
      idField,
      labelled('Type', type),
      labelled('Description', description),
      labelled('Concepts', concepts.element, {
        title: 'What the model tells apart; empty: all concepts of the app when training starts',
      }),
    ),
    cards.element,
    fields.element,
    h('section', { 'aria-label': 'Training' }, h('h3', {}, 'Training'), training.element),
    python.element,
    outcome,
    h('div', { class: 'dft-row dft-end dft-actions' }, save, train),
  );
  const state = h('div', {}, loading());
  const root = h('div', { class: 'dft-part dft-model-form', 'data-testid': 'model-form' }, state, form);
  host.append(root);

  id.addEventListener('input', () => {
    showIdFault('');
    changed();
  });
  description.addEventListener('input', () => changed());

  function changed(): void {
    const trainBody = training.read() ?? {};
    python.set(code(trainBody));
    target.onValue?.({ template: cards.chosen?.id ?? '', ...fields.values });
    const dirty = model === null || content() !== saved;
    save.hidden = model !== null && !dirty;
    const caption = save.querySelector('span');
    if (caption) {
      caption.textContent = model === null ? 'Create model' : 'Save';
    }
  }

  /** What the model's record would be, to see whether something is to be saved. */
  function content(): string {
    return JSON.stringify([cards.chosen?.id, description.value, concepts.values, fields.values]);
  }

  function code(body: Train): string {
    const lines = connectLines(target.app);
    const template = cards.chosen?.id ?? '';
    const values = Object.entries(fields.changed);
    const chosen = concepts.values.length > 0 ? concepts.values : null;
    if (model === null) {
      const keywords: [string, unknown][] = [
        ['type', type.value],
        ['template', template],
        ...(description.value ? [['description', description.value] as [string, unknown]] : []),
        ...(chosen ? [['concepts', chosen] as [string, unknown]] : []),
        ...values,
      ];
      lines.push(`model = ${call('app.create_model', [id.value || 'my-model'], keywords)}`);
    } else {
      lines.push(`model = ${call('app.model', [model.id], [])}`);
      const before = model.values;
      const differing = Object.entries(fields.values).filter(
        ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]),
      );
      const moved: [string, unknown][] = template !== model.template ? [['template', template]] : [];
      if (differing.length + moved.length > 0) {
        const method = moved.length > 0 ? 'model.update' : 'model.update_params';
        lines.push(call(method, [], [...moved, ...differing]));
      }
    }
    const choices: [string, unknown][] = [];
    if (body.dataset) {
      choices.push(['dataset', body.dataset]);
    }
    if (body.validation !== null && body.validation !== undefined) {
      choices.push(['validation', body.validation]);
    }
    lines.push(`version = ${call('model.train', [], choices)}`);
    return lines.join('\n');
  }

  /** Saves the model where there is something to save; null where it cannot be. */
  async function saveModel(): Promise<Model | null> {
    const right = await fields.check();
    const wrongId = model === null ? checkId(id.value.trim()) : '';
    if (wrongId) {
      showIdFault(id.value.trim() ? wrongId : 'A model needs an id: ' + wrongId);
      id.focus();
    }
    if (!right || wrongId || !cards.chosen) {
      return null;
    }
    const body = {
      template: cards.chosen.id,
      description: description.value,
      concepts: concepts.values.length > 0 ? concepts.values : null,
      values: fields.values,
    };
    if (model !== null && content() === saved) {
      return model;
    }
    const isNew = model === null;
    const record =
      model === null
        ? await client.call('create_model', {
            params: appParams,
            body: { id: id.value.trim(), type: type.value, ...body } as CreateModel,
          })
        : await client.call('update_model', { params: { ...appParams, model: model.id }, body });
    setModel(record);
    notify(context, root, `${record.id} is ${isNew ? 'created' : 'saved'}.`, 'success');
    target.onCreated?.(record);
    return record;
  }

  async function submit(andTrain: boolean): Promise<void> {
    fill(outcome);
    try {
      const body = training.read();
      const record = await saveModel();
      if (record === null || !andTrain || body === null) {
        return;
      }
      const version = await client.call('train', { params: { ...appParams, model: record.id }, body });
      notify(context, root, `${version.model} ${version.id} is in the queue.`, 'success');
      if (target.onTrain) {
        target.onTrain(version);
      } else {
        context.open?.({ kind: 'version', ...appParams, model: version.model, version: version.id });
      }
    } catch (error) {
      showError(error);
    }
  }

  function showError(error: unknown): void {
    const faults: Fault[] = error instanceof ApiError ? error.faults : [];
    const taken = error instanceof ApiError && error.code === 'Conflict' && model === null;
    if (taken || faults.some((fault) => fault.field === 'id')) {
      showIdFault(messageOf(error));
      id.focus();
      return;
    }
    fill(outcome, failure(error));
    outcome.scrollIntoView({ block: 'nearest' });
  }

  function showIdFault(text: string): void {
    idFault.hidden = text === '';
    idFault.textContent = text;
    id.setAttribute('aria-invalid', String(text !== ''));
  }

  function setModel(record: Model): void {
    model = record;
    id.value = record.id;
    id.readOnly = true;
    type.disabled = true;
    title.textContent = record.id;
    saved = content();
    changed();
  }

  async function refreshChoices(): Promise<void> {
    const [app, datasets, known] = await Promise.all([
      client.call('app', { params: appParams }),
      client.call('datasets', { params: appParams }),
      client.call('concepts', { params: appParams }),
    ]);
    training.setDatasets(app, datasets);
    concepts.setChoices(
      known.map((concept) => ({ value: concept.name, hint: plural(concept.positives, 'input') })),
    );
    fields.setExamples(training.examples);
  }

  const load = async (): Promise<void> => {
    try {
      const [templates, record] = await Promise.all([
        client.call('templates'),
        target.model ? client.call('model', { params: { ...appParams, model: target.model } }) : null,
        refreshChoices(),
      ]);
      if (scope.disposed) {
        return;
      }
      if (templates.templates.length === 0) {
        fill(
          state,
          failure(
            new Error('The server has no templates. “jupyter deepft doctor” tells where it looked.'),
            () => void load(),
          ),
        );
        return;
      }
      cards.show(templates, record?.type ?? type.value);
      if (record) {
        description.value = record.description;
        concepts.set(record.concepts ?? []);
        cards.choose(record.template);
        fields.setValues(record.values);
        setModel(record);
      } else {
        title.textContent = 'New model';
        cards.choose('');
      }
      fill(state);
      form.hidden = false;
      changed();
    } catch (error) {
      if (!scope.disposed) {
        fill(
          state,
          failure(error, () => void load()),
        );
      }
    }
  };

  const refreshSoon = debounce(300, () => void refreshChoices().catch(() => undefined));
  scope.add(
    context.stream.subscribe((message) => {
      if (
        message.kind === 'changed' &&
        message.data.owner === target.owner &&
        message.data.app === target.app
      ) {
        refreshSoon.call();
      }
    }),
  );
  scope.add(refreshSoon.cancel);
  scope.add(() => fields.dispose());
  void load();
  return {
    dispose() {
      scope.dispose();
      root.remove();
    },
  };
}
