/** What the parts ask of the page, answered with JupyterLab's own dialogs, toasts and tabs. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import {
  type Answer,
  ApiError,
  Client,
  type Context,
  type NoticeKind,
  type Question,
  sharedStream,
} from '@deepft-lab/parts';
import { Widget } from '@lumino/widgets';
import { CommandIDs } from './commands';

const TOAST_LENGTH = 130; // JupyterLab cuts a toast's message at 140 characters
const NOTICE_MILLISECONDS = 6000;

/** The context of this page. Every part that the plugin mounts gets it. */
export function createContext(app: JupyterFrontEnd): Required<Context> {
  const { baseUrl, token } = app.serviceManager.serverSettings;
  const client = new Client({ baseUrl, token });
  return {
    client,
    stream: sharedStream(client),
    open: (target) => void app.commands.execute(CommandIDs.open, { ...target }),
    confirm: ask,
    notify,
  };
}

/** A toast; errors stay until they are closed, and a long one opens in full. */
export function notify(message: string, kind: NoticeKind = 'info'): void {
  const long = message.length > TOAST_LENGTH;
  const actions = long
    ? [{ label: 'Details', caption: 'Show the whole message', callback: () => void showText(message) }]
    : [];
  const shown = long ? `${message.slice(0, TOAST_LENGTH).trimEnd()}…` : message;
  Notification.emit(shown, kind, {
    autoClose: kind === 'error' ? false : NOTICE_MILLISECONDS,
    actions,
  });
}

/** Says an error in its own words, with what was tried. */
export function notifyError(action: string, error: unknown): void {
  notify(`${action}: ${describe(error)}`, 'error');
}

/** An error's message, with its faults, one a line. */
export function describe(error: unknown): string {
  if (error instanceof ApiError) {
    const faults = error.faults.map((fault) => `${fault.field}: ${fault.reason}`);
    return [error.message, ...faults].join('\n');
  }
  return error instanceof Error ? error.message : String(error);
}

/** A dialog with a text that can be copied. */
export async function showText(text: string, title = 'Details'): Promise<void> {
  const body = new Widget();
  body.addClass('deepft-Text');
  body.node.textContent = text;
  const result = await showDialog({
    title,
    body,
    buttons: [Dialog.cancelButton({ label: 'Copy' }), Dialog.okButton({ label: 'Close' })],
  });
  if (result.button.label === 'Copy') {
    Clipboard.copyToSystem(text);
  }
}

async function ask(question: Question): Promise<Answer> {
  const accept = { label: question.accept, className: 'deepft-accept' };
  // Where saying yes cancels a training, “Cancel” would be a riddle.
  const keep = question.danger ? { label: 'Keep it' } : {};
  const buttons = [Dialog.cancelButton({ ...keep, className: 'deepft-keep' })];
  if (question.alternative) {
    const label = question.alternative;
    buttons.push(Dialog.createButton({ label, accept: false, className: 'deepft-alternative' }));
  }
  buttons.push(question.danger ? Dialog.warnButton(accept) : Dialog.okButton(accept));
  const result = await showDialog({
    title: question.title,
    body: question.body,
    buttons,
    // What cannot be undone is never the answer to a bare Enter.
    defaultButton: question.danger ? 0 : buttons.length - 1,
  });
  if (result.button.className?.includes('deepft-alternative')) {
    return 'alternative';
  }
  return result.button.accept ? 'accept' : 'cancel';
}
