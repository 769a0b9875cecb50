/**
 * The keyboard of the annotation panel: sends the keys pressed in it to the kernel, and keeps them from the notebook.
 *
 * Without it the key "1" would turn the cell into a heading, and a letter typed as a concept's name would be a shortcut.
 */
import type { RenderProps } from '../cell';
import { keepKeys } from '../keyboard';

const HOTKEYS = /^([0-9]|Enter|Backspace|Delete)$/;

export default {
  render({ model, el }: RenderProps): () => void {
    const abort = new AbortController();
    let release = (): void => undefined;
    // the view is put into the panel after it was rendered
    const timer = window.setTimeout(() => {
      const root = el.closest<HTMLElement>('.deepft-annotate');
      if (!root) {
        return;
      }
      release = keepKeys(root);
      root.tabIndex = -1;
      root.addEventListener(
        'keydown',
        (event) => {
          const target = event.target as HTMLElement;
          const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
          const press = event.key === 'Enter' && target.tagName === 'BUTTON';
          const free = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat;
          if (HOTKEYS.test(event.key) && free && !typing && !press) {
            event.preventDefault();
            model.send({ key: event.key });
          }
        },
        { signal: abort.signal },
      );
      root.addEventListener(
        'click',
        (event) => {
          // a button that was pressed may go with the picture; the keys must still have a place to land
          if (!/^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName)) {
            root.focus({ preventScroll: true });
          }
        },
        { signal: abort.signal },
      );
    }, 0);
    return () => {
      window.clearTimeout(timer);
      abort.abort();
      release();
    };
  },
};
