/** The model's form: identity, template, hyperparameters, and training; what it does is shown as Python. */
import type { CreateModel, CreateQuote, Fault, Model } from '../api';
import { ApiError } from '../client';
import { button, failure, loading, messageOf } from '../controls';
import { notify } from '../dialogs';
import type { Context, ModelFormTarget, Part } from '../context';
import { debounce, fill, h, Scope } from '../dom';
import { plural } from '../format';
import { estimate } from '../form/estimate';
import { identity } from '../form/identity';
import { parameters } from '../form/parameters';
import { codeView } from '../form/python';
import { formCode } from '../form/code';
import { templateCards } from '../form/templates';
import { trainingChoice } from '../form/training';
import { typeChoice } from '../form/types';
import { trainedVersions } from '../form/versions';

export function modelForm(host: HTMLElement, context: Context, target: ModelFormTarget): Part {
  const scope = new Scope();
  const { client } = context;
  const appParams = { owner: target.owner, app: target.app };
  let model: Model | null = null;
  let saved = '';

  const type = typeChoice((chosen) => {
    cards.setType(chosen);
    cards.choose('');
  });
  const who = identity(() => changed());
  const fields = parameters(context, {
    onChange: () => changed(),
    versions: () => trainedVersions(client, target),
  });
  const training = trainingChoice(() => {
    fields.setExamples(training.examples);
    changed();
  });
  const cards = templateCards({
    choose: (template) => {
      fields.setTemplate(template);
      training.setTemplate(template);
      changed();
    },
    refresh: () => refreshTemplates(),
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
  const cost = estimate({
    client,
    params: appParams,
    read: async () => {
      const body = training.read();
      fill(outcome);
      return body !== null && (await fields.check()) ? planned() : null;
    },
    now: () => ({ ...planned(), model: '' }), // a name costs nothing
    onError: showError,
  });
  const title = h('h2', { class: 'dft-title' });

  const form = h(
    'div',
    { class: 'dft-form', hidden: true },
    title,
    who.element,
    type.element,
    cards.element,
    fields.element,
    h('section', { 'aria-label': 'Training' }, h('h3', {}, 'Training'), training.element),
    python.element,
    outcome,
    h(
      'div',
      { class: 'dft-actions' },
      cost.element,
      h('div', { class: 'dft-row dft-end' }, save, cost.button, train),
    ),
  );
  const state = h('div', {}, loading());
  const root = h('div', { class: 'dft-part dft-model-form', 'data-testid': 'model-form' }, state, form);
  host.append(root);

  function changed(): void {
    python.set(
      formCode({
        app: target.app,
        model,
        id: who.id,
        type: type.value,
        template: cards.chosen?.id ?? '',
        description: who.description,
        concepts: who.concepts,
        values: fields.values,
        changed: fields.changed,
        train: training.read() ?? {},
      }),
    );
    cost.changed();
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
    return JSON.stringify([cards.chosen?.id, who.description, who.concepts, fields.values]);
  }

  /** The training as it stands in the form, saved or not. */
  function planned(): CreateQuote {
    return {
      model: model?.id ?? who.id,
      type: type.value,
      template: cards.chosen?.id ?? null,
      concepts: who.concepts,
      values: fields.values,
      ...training.peek(),
    };
  }

  /** Saves the model where there is something to save; null where it cannot be. */
  async function saveModel(): Promise<Model | null> {
    const right = await fields.check();
    const named = model !== null || who.check();
    if (!right || !named || !cards.chosen) {
      return null;
    }
    const body = {
      template: cards.chosen.id,
      description: who.description,
      concepts: who.concepts,
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
            body: { id: who.id, type: type.value, ...body } as CreateModel,
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
      who.showFault(messageOf(error));
      return;
    }
    if (fields.showFaults(faults)) {
      return; // each stands beside its field
    }
    fill(outcome, failure(error));
    outcome.scrollIntoView({ block: 'nearest' });
  }

  function setModel(record: Model): void {
    model = record;
    who.fix(record.id);
    type.choose(record.type);
    type.fix();
    title.textContent = record.id;
    saved = content();
    changed();
  }

  /** New template files appear, broken ones are listed; what was chosen and typed stays. */
  async function refreshTemplates(): Promise<void> {
    try {
      const templates = await client.call('templates');
      const before = cards.chosen;
      type.show(templates.templates);
      cards.show(templates);
      cards.setType(type.value);
      const now = templates.templates.find((template) => template.id === before?.id);
      if (now?.hash !== before?.hash) {
        cards.choose(before?.id ?? '');
      }
    } catch (error) {
      notify(context, root, `The templates cannot be read: ${messageOf(error)}`, 'error');
    }
  }

  async function refreshChoices(): Promise<void> {
    const [app, datasets, known] = await Promise.all([
      client.call('app', { params: appParams }),
      client.call('datasets', { params: appParams }),
      client.call('concepts', { params: appParams }),
    ]);
    training.setDatasets(app, datasets);
    who.setConceptChoices(
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
      cards.show(templates);
      type.show(templates.templates);
      if (record) {
        type.choose(record.type);
      }
      cards.setType(type.value);
      if (record) {
        who.description = record.description;
        who.concepts = record.concepts;
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
  scope.add(() => cost.dispose());
  void load();
  return {
    dispose() {
      scope.dispose();
      root.remove();
    },
  };
}
