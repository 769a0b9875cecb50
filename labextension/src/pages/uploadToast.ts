/** A toast for an upload that goes on while its page is hidden: how far it is, and Cancel. */
import { Notification } from '@jupyterlab/apputils';

const PROGRESS = '[data-testid="upload-progress"]';
const CANCEL = '[data-testid="upload-cancel"]';

export interface UploadToast {
  /** An upload is under way. */
  running(): boolean;
  dispose(): void;
}

/** Watches the uploader in `host`. The uploader shows its own progress while it can be seen. */
export function uploadToast(host: HTMLElement, app: string): UploadToast {
  let id = '';
  const bar = (): HTMLElement | null => host.querySelector<HTMLElement>(PROGRESS);

  const update = (): void => {
    const progress = bar();
    if (!progress || host.offsetParent !== null) {
      if (id) {
        Notification.dismiss(id);
        id = '';
      }
      return;
    }
    const share = Number(progress.getAttribute('aria-valuenow') ?? 0) / 100;
    const message = `Uploading to ${app}: ${Math.floor(share * 100)} %`;
    if (id && Notification.manager.has(id)) {
      Notification.update({ id, message, progress: share });
    } else {
      id = Notification.emit(message, 'in-progress', {
        autoClose: false,
        progress: share,
        actions: [{ label: 'Cancel', callback: () => host.querySelector<HTMLElement>(CANCEL)?.click() }],
      });
    }
  };
  const changes = new MutationObserver(update);
  changes.observe(host, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['aria-valuenow'],
  });
  // Hiding and showing the tab changes nothing inside the host.
  const visibility = new ResizeObserver(update);
  visibility.observe(host);
  return {
    running: () => bar() !== null,
    dispose: () => {
      changes.disconnect();
      visibility.disconnect();
      if (id) {
        Notification.dismiss(id);
      }
    },
  };
}
