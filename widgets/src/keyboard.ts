/**
 * Keys that are pressed in a part are the part's: Enter on a button must not put the notebook into edit mode, and "1" in
 * the labeller must not turn the cell into a heading. Chords of the page, such as Ctrl+S, stay the page's.
 */

const SUPPRESS = 'data-lm-suppress-shortcuts';
/** Chords that mean something inside a part: select all, undo, and the clipboard. */
const OWN_CHORDS = /^[azxcv]$/i;

/** Keeps plain keys in `host` from JupyterLab's shortcuts. Gives the end of it. */
export function keepKeys(host: HTMLElement): () => void {
  // JupyterLab listens on the document before anything inside it; the window comes before the document
  const look = (event: KeyboardEvent): void => {
    if (event.target instanceof Node && host.contains(event.target)) {
      const chord = event.ctrlKey || event.metaKey || event.altKey;
      if (!chord || OWN_CHORDS.test(event.key)) {
        host.setAttribute(SUPPRESS, 'true');
      } else {
        host.removeAttribute(SUPPRESS);
      }
    }
  };
  window.addEventListener('keydown', look, { capture: true });
  return () => window.removeEventListener('keydown', look, { capture: true });
}
