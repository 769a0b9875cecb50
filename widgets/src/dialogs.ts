/** Telling and asking: by the page's own toasts and dialogs where it has them, else by plain ones. */
import { button } from './controls';
import type { Answer, Context, NoticeKind, Question } from './context';
import { h } from './dom';

/** Tells the person something: by the page's own means, or by a line at the foot of the part. */
export function notify(
  context: Context,
  host: HTMLElement,
  message: string,
  kind: NoticeKind = 'info',
): void {
  if (context.notify) {
    context.notify(message, kind);
    return;
  }
  const toast = h(
    'div',
    { class: `dft-toast dft-toast-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
    message,
  );
  toast.append(button({ label: 'Dismiss', icon: 'close', bare: true, onClick: () => toast.remove() }));
  host.append(toast);
  window.setTimeout(() => toast.remove(), kind === 'error' ? 15_000 : 6_000);
}

/** Asks: by the page's own dialog, or by one of ours. */
export function ask(context: Context, host: HTMLElement, question: Question): Promise<Answer> {
  if (context.confirm) {
    return context.confirm(question);
  }
  return new Promise((resolve) => {
    const close = (answer: Answer): void => {
      dialog.remove();
      resolve(answer);
    };
    const accept = button({
      label: question.accept,
      kind: question.danger ? 'danger' : 'primary',
      testid: 'confirm-accept',
      onClick: () => close('accept'),
    });
    const cancel = button({
      label: question.danger ? 'Keep it' : 'Cancel',
      testid: 'confirm-cancel',
      onClick: () => close('cancel'),
    });
    const dialog = h(
      'dialog',
      { class: 'dft-dialog', 'aria-label': question.title, 'data-testid': 'confirm' },
      h('h2', {}, question.title),
      h('p', {}, question.body),
      h(
        'div',
        { class: 'dft-row dft-end' },
        cancel,
        question.alternative
          ? button({
              label: question.alternative,
              testid: 'confirm-alternative',
              onClick: () => close('alternative'),
            })
          : null,
        accept,
      ),
    );
    dialog.addEventListener('cancel', () => close('cancel'));
    dialog.addEventListener('keydown', (event) => event.stopPropagation());
    host.append(dialog);
    dialog.showModal();
    // what cannot be undone is never the answer to a bare Enter
    (question.danger ? cancel : accept).focus();
  });
}
