/** Dialogs with a form: checked as one types; what the server refuses is said in the dialog, which stays open. */
import { Dialog } from '@jupyterlab/apputils';
import { PromiseDelegate } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';
import type { App, Client, Concept, Model } from '@deepft-lab/parts';
import { plural } from '@deepft-lab/parts';
import { describe } from './context';
import type { AppKey } from './model';

interface FormField {
  name: string;
  label: string;
  help?: string;
  multiline?: boolean;
  /** The fault of a value, in words, or an empty string. */
  check?(value: string): string;
}

interface Form<T> {
  title: string;
  text?: string;
  accept: string;
  danger?: boolean;
  fields: FormField[];
  submit(values: Record<string, string>): Promise<T>;
}

const ID = /^[A-Za-z0-9_-]{1,64}$/;

export function createApp(client: Client): Promise<App | null> {
  return ask({
    title: 'Create an app',
    text: 'An app holds the inputs, concepts, datasets and models of one project.',
    accept: 'Create',
    fields: [
      { name: 'id', label: 'Id', help: '1 to 64 letters, digits, “-” and “_”', check: checkId },
      { name: 'description', label: 'Description (optional)', multiline: true },
    ],
    submit: ({ id, description }) => client.call('create_app', { body: { id, description } }),
  });
}

export function createConcepts(client: Client, params: AppKey): Promise<Concept[] | null> {
  return ask({
    title: `Create concepts in ${params.app}`,
    accept: 'Create',
    fields: [
      {
        name: 'names',
        label: 'Concepts',
        help: 'One a line',
        multiline: true,
        check: (value) => (lines(value).length ? '' : 'Type at least one name.'),
      },
    ],
    submit: ({ names }) => client.call('create_concepts', { params, body: { names: lines(names) } }),
  });
}

/** Cannot be undone, so the id has to be typed. */
export function deleteApp(client: Client, app: App): Promise<unknown> {
  const content = `${plural(app.inputs, 'input')} and ${plural(app.models, 'model')}`;
  return ask({
    title: `Delete the app ${app.id}?`,
    text: `Its ${content} are deleted with it, and whatever is training in it is cancelled. This cannot be undone. The time used stays in the ledger.`,
    accept: 'Delete app',
    danger: true,
    fields: [confirmation(app.id)],
    submit: () => client.call('delete_app', { params: { owner: app.owner, app: app.id } }),
  });
}

export function deleteModel(client: Client, model: Model): Promise<unknown> {
  return ask({
    title: `Delete the model ${model.id}?`,
    text: `Its ${plural(model.versions, 'version')} and their checkpoints are deleted with it. This cannot be undone. The time used stays in the ledger.`,
    accept: 'Delete model',
    danger: true,
    fields: [confirmation(model.id)],
    submit: () =>
      client.call('delete_model', { params: { owner: model.owner, app: model.app, model: model.id } }),
  });
}

function checkId(value: string): string {
  if (value.length > 64) {
    return `An id has at most 64 characters; this one has ${value.length}.`;
  }
  const wrong = value.match(/[^A-Za-z0-9_-]/u);
  if (wrong) {
    const name = wrong[0] === ' ' ? 'A space' : `“${wrong[0]}”`;
    return `${name} cannot stand in an id: letters, digits, “-” and “_” can.`;
  }
  return ID.test(value) ? '' : 'Type an id.';
}

function confirmation(id: string): FormField {
  return {
    name: 'id',
    label: `Type “${id}” to confirm`,
    check: (value) => (value.trim() === id ? '' : `Type “${id}”.`),
  };
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Shows the form. Gives what the server answered, or null when it was cancelled. */
function ask<T>(form: Form<T>): Promise<T | null> {
  return new FormDialog(form).run();
}

class FormBody extends Widget {
  private readonly inputs = new Map<string, HTMLInputElement | HTMLTextAreaElement>();
  private readonly faults = new Map<string, HTMLElement>();
  private readonly failure = element('div', 'deepft-Form-failure');

  constructor(private readonly form: Form<unknown>) {
    super();
    this.addClass('deepft-Form');
    if (form.text) {
      this.node.append(element('p', 'deepft-Form-text', form.text));
    }
    for (const field of form.fields) {
      this.node.append(this.build(field));
    }
    this.failure.setAttribute('role', 'alert');
    this.failure.dataset['testid'] = 'form-failure';
    this.node.append(this.failure);
  }

  get values(): Record<string, string> {
    return Object.fromEntries([...this.inputs].map(([name, input]) => [name, input.value.trim()]));
  }

  /** True when every value may be sent. Faults of untouched fields are not shown. */
  check(): boolean {
    let good = true;
    for (const field of this.form.fields) {
      const input = this.inputs.get(field.name)!;
      const reason = field.check?.(input.value) ?? '';
      const shown = input.value === '' ? '' : reason;
      this.faults.get(field.name)!.textContent = shown;
      input.classList.toggle('deepft-mod-fault', shown !== '');
      input.setAttribute('aria-invalid', String(shown !== ''));
      good = good && reason === '';
    }
    this.failure.textContent = '';
    return good;
  }

  fail(error: unknown): void {
    this.failure.textContent = describe(error);
  }

  private build(field: FormField): HTMLElement {
    const id = `deepft-form-${field.name}`;
    const label = element('label', 'deepft-Form-label', field.label);
    label.setAttribute('for', id);
    const input = document.createElement(field.multiline ? 'textarea' : 'input');
    input.id = id;
    input.className = 'jp-mod-styled deepft-Form-input';
    input.dataset['testid'] = `form-${field.name}`;
    input.setAttribute('autocomplete', 'off');
    input.setAttribute('spellcheck', 'false');
    if (input instanceof HTMLTextAreaElement) {
      input.rows = 3;
    }
    const fault = element('div', 'deepft-Form-fault');
    fault.id = `${id}-fault`;
    fault.setAttribute('aria-live', 'polite');
    fault.dataset['testid'] = `form-${field.name}-fault`;
    input.setAttribute('aria-describedby', fault.id);
    this.inputs.set(field.name, input);
    this.faults.set(field.name, fault);
    const row = element('div', 'deepft-Form-row');
    row.append(label, input, element('div', 'deepft-Form-help', field.help ?? ''), fault);
    return row;
  }
}

class FormDialog<T> extends Dialog<unknown> {
  private readonly answer = new PromiseDelegate<T | null>();
  private readonly body: FormBody;
  private sending = false;

  constructor(private readonly content: Form<T>) {
    const body = new FormBody(content as Form<unknown>);
    const accept = { label: content.accept };
    super({
      title: content.title,
      body,
      buttons: [Dialog.cancelButton(), content.danger ? Dialog.warnButton(accept) : Dialog.okButton(accept)],
      defaultButton: 1,
      focusNodeSelector: 'input, textarea',
    });
    this.body = body;
    body.node.addEventListener('input', () => this.update());
    this.update();
  }

  /** Shows the dialog until it is answered. */
  async run(): Promise<T | null> {
    void this.launch().then(() => this.answer.resolve(null));
    return this.answer.promise;
  }

  /** Accepting sends the form first; the dialog closes when the server agrees. */
  override resolve(index = 1): void {
    if (index !== 1) {
      super.resolve(index);
    } else if (!this.sending && this.body.check()) {
      void this.send();
    }
  }

  override update(): void {
    const good = this.body.check() && !this.sending;
    this.acceptButton?.toggleAttribute('disabled', !good);
  }

  private async send(): Promise<void> {
    this.sending = true;
    this.acceptButton?.toggleAttribute('disabled', true);
    try {
      this.answer.resolve(await this.content.submit(this.body.values));
      super.resolve(1);
    } catch (error) {
      this.sending = false;
      this.acceptButton?.toggleAttribute('disabled', false);
      this.body.fail(error);
    }
  }

  private get acceptButton(): Element | null {
    return this.node.querySelector('.jp-Dialog-button.jp-mod-accept');
  }
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}
