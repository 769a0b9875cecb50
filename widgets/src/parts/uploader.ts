/** The uploader: drop files or folders, choose settings, watch true progress, read the report. */
import type { CreateUpload } from '../api';
import type { Context, Part, UploaderTarget, UploadReport } from '../context';
import { button, copyButton, failure, messageOf, progressBar } from '../controls';
import { notify } from '../dialogs';
import { icon } from '../icons';
import { eachFrame, fill, h, Scope } from '../dom';
import { codeView } from '../form/python';
import { bytes, duration, number, plural } from '../format';
import { annotatedCode, annotationsAmong, FORMAT_NAMES } from '../upload/annotated';
import type { Annotated } from '../upload/annotated';
import { filesOfChooser, filesOfDrop } from '../upload/files';
import type { Chosen } from '../upload/files';
import { uploadAll } from '../upload/queue';
import type { Progress } from '../upload/queue';
import { settingsForm } from '../upload/settings';

const LISTED = 100;

export function uploader(host: HTMLElement, context: Context, target: UploaderTarget): Part {
  const scope = new Scope();
  const form = settingsForm(context, target);
  let running: AbortController | null = null;

  const chooseFiles = fileInput(false);
  const chooseFolder = fileInput(true);
  const zone = h(
    'div',
    {
      class: 'dft-drop',
      'data-testid': 'drop-zone',
      role: 'group',
      'aria-label': 'Drop images or folders here',
    },
    icon('upload'),
    h('div', { class: 'dft-drop-text' }, 'Drop images or folders here'),
    h(
      'div',
      { class: 'dft-row dft-center' },
      button({
        label: 'Choose files',
        icon: 'image',
        kind: 'primary',
        testid: 'choose-files',
        onClick: () => chooseFiles.click(),
      }),
      button({
        label: 'Choose a folder',
        icon: 'folder',
        testid: 'choose-folder',
        onClick: () => chooseFolder.click(),
      }),
    ),
    h('div', { class: 'dft-help' }, 'JPEG, PNG, TIFF, BMP, WEBP, GIF'),
    chooseFiles,
    chooseFolder,
  );
  const status = h('div', { class: 'dft-upload-status', 'aria-live': 'polite' });
  const root = h(
    'div',
    { class: 'dft-part dft-uploader', 'data-testid': 'uploader' },
    h(
      'div',
      { class: 'dft-upload-columns' },
      h('section', { 'aria-label': 'Upload settings' }, form.element),
      zone,
    ),
    status,
  );
  host.append(root);
  if (target.report) {
    fill(status, reportView(target.report, 0));
  }

  const refresh = (): void => {
    form.refresh().catch((error: unknown) => {
      if (!scope.disposed) {
        fill(status, failure(error, refresh));
      }
    });
  };
  refresh();
  scope.add(
    context.stream.subscribe((message) => {
      if (
        message.kind === 'changed' &&
        message.data.owner === target.owner &&
        message.data.app === target.app
      ) {
        if (!running && /concept|dataset|annotation/.test(message.data.what)) {
          refresh();
        }
      }
    }),
  );

  const start = async (chosen: Chosen): Promise<void> => {
    if (running) {
      notify(context, root, 'An upload is running; wait for its end, or cancel it.', 'warning');
      return;
    }
    const settings = form.read();
    if (settings === null) {
      return;
    }
    if (chosen.files.length === 0) {
      fill(status, h('div', { class: 'dft-state' }, 'There are no files in what was chosen.'));
      return;
    }
    const annotated = settings.concepts_from_folders ? null : await annotationsAmong(chosen.files);
    if (annotated === null) {
      await send(chosen, settings);
      return;
    }
    const code = annotatedCode(target, chosen.files, annotated.format, settings);
    const alone = (): Promise<void> => send({ ...chosen, files: annotated.pictures }, settings);
    fill(
      status,
      annotatedView(
        annotated,
        code,
        () => void alone(),
        () => fill(status),
      ),
    );
  };

  const send = async (chosen: Chosen, settings: CreateUpload): Promise<void> => {
    if (running) {
      return;
    }
    running = new AbortController();
    root.classList.add('dft-running');
    const view = progressView(() => running?.abort());
    fill(status, view.element);
    try {
      const signal = running.signal;
      const report = await uploadAll(context.client, target, settings, chosen.files, view.update, signal);
      if (!scope.disposed) {
        fill(status, reportView(report, chosen.hidden));
      }
      target.onReport?.(report);
    } catch (error) {
      fill(status, failure(error));
    } finally {
      view.stop();
      running = null;
      root.classList.remove('dft-running');
      refresh();
    }
  };

  for (const input of [chooseFiles, chooseFolder]) {
    input.addEventListener('change', () => {
      if (input.files && input.files.length > 0) {
        const chosen = filesOfChooser(input.files);
        input.value = '';
        void start(chosen);
      }
    });
  }

  // JupyterLab takes drops too: they must not reach it
  scope.listen(root, 'dragenter', (event) => mark(event, true));
  scope.listen(root, 'dragover', (event) => mark(event, true));
  scope.listen(root, 'dragleave', (event) => {
    if (!root.contains(event.relatedTarget as Node | null)) {
      mark(event, false);
    }
  });
  scope.listen(root, 'drop', (event) => {
    mark(event, false);
    if (event.dataTransfer) {
      filesOfDrop(event.dataTransfer)
        .then(start)
        .catch((error: unknown) =>
          notify(context, root, `The drop cannot be read: ${messageOf(error)}`, 'error'),
        );
    }
  });

  function mark(event: DragEvent, over: boolean): void {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.toggle('dft-over', over);
  }

  return {
    dispose() {
      running?.abort();
      scope.dispose();
      root.remove();
    },
  };
}

/** Asks what is to become of pictures whose annotations would stay behind. */
function annotatedView(found: Annotated, code: string, alone: () => void, cancel: () => void): HTMLElement {
  const python = codeView('With their regions, in Python', 'upload-annotated-python');
  python.set(code);
  python.element.open = true;
  return h(
    'section',
    { class: 'dft-report', 'data-testid': 'upload-annotated', 'aria-label': 'Annotated pictures' },
    h('b', {}, `These pictures have annotations (${FORMAT_NAMES[found.format]}). Nothing is uploaded yet.`),
    h(
      'p',
      { class: 'dft-help' },
      'From here the pictures come alone. Python brings them with their regions, from a folder that the notebook reaches:',
    ),
    python.element,
    h(
      'div',
      { class: 'dft-row dft-end' },
      button({ label: 'Cancel', testid: 'upload-annotated-cancel', onClick: cancel }),
      button({
        label: `Upload ${plural(found.pictures.length, 'picture')} alone`,
        testid: 'upload-alone',
        onClick: alone,
      }),
    ),
  );
}

function fileInput(folder: boolean): HTMLInputElement {
  return h('input', {
    type: 'file',
    multiple: true,
    hidden: true,
    webkitdirectory: folder,
    accept: folder ? null : 'image/*,.tif,.tiff,.bmp,.webp',
    'data-testid': folder ? 'folder-input' : 'file-input',
    'aria-label': folder ? 'Folder of images' : 'Images',
  });
}

function progressView(cancel: () => void): {
  element: HTMLElement;
  update(progress: Progress): void;
  stop(): void;
} {
  const bar = progressBar('Upload', 'upload-progress');
  const text = h('span', { class: 'dft-grow' }, 'Starting …');
  const started = performance.now();
  let latest: Progress | null = null;
  const frame = eachFrame(() => {
    if (latest) {
      bar.set(latest.total > 0 ? latest.bytes / latest.total : latest.done / latest.files);
      const speed = latest.bytes / Math.max(0.1, (performance.now() - started) / 1000);
      text.textContent =
        `${number(latest.done)} of ${plural(latest.files, 'file')} · ` +
        `${bytes(latest.bytes)} of ${bytes(latest.total)} · ${bytes(speed)}/s`;
    }
  });
  return {
    element: h(
      'div',
      { class: 'dft-progress-block' },
      bar.element,
      h(
        'div',
        { class: 'dft-row' },
        text,
        button({ label: 'Cancel', testid: 'upload-cancel', onClick: cancel }),
      ),
    ),
    update(progress) {
      latest = progress;
      frame.call();
    },
    stop: frame.cancel,
  };
}

function reportView(report: UploadReport, hidden: number): HTMLElement {
  const { errors, warnings } = report;
  const figure = (value: number, name: string, kind = ''): HTMLElement =>
    h('div', { class: `dft-figure ${kind}` }, h('b', {}, number(value)), h('span', {}, name));
  const title = report.cancelled
    ? 'Cancelled. What was sent before stays.'
    : `Done in ${duration(report.seconds)}`;
  return h(
    'section',
    { class: 'dft-report', 'data-testid': 'upload-report', 'aria-label': 'Upload report' },
    h(
      'div',
      { class: 'dft-row' },
      h('span', { class: 'dft-grow' }, title),
      copyButton(() => reportText(report), 'Copy the report', 'upload-report-copy'),
    ),
    h(
      'div',
      { class: 'dft-figures' },
      figure(report.added, 'added'),
      figure(report.duplicates, report.duplicates === 1 ? 'duplicate' : 'duplicates'),
      figure(errors.length, errors.length === 1 ? 'error' : 'errors', errors.length > 0 ? 'dft-bad' : ''),
    ),
    report.duplicates > 0 &&
      h(
        'p',
        { class: 'dft-help' },
        'Duplicates (the same content) are not stored again; they got the settings too.',
      ),
    hidden > 0 && h('p', { class: 'dft-help' }, `${plural(hidden, 'hidden file')} left out.`),
    errors.length > 0 &&
      listView(
        'Errors',
        errors.map(([name, reason]) => `${name}: ${reason}`),
        'upload-errors',
      ),
    warnings.length > 0 && listView('Warnings', warnings, 'upload-warnings'),
  );
}

function listView(title: string, lines: string[], testid: string): HTMLElement {
  const more = lines.length - LISTED;
  return h(
    'details',
    { class: 'dft-list', open: true, 'data-testid': testid },
    h('summary', {}, `${title} (${number(lines.length)})`),
    h('ul', {}, ...lines.slice(0, LISTED).map((line) => h('li', {}, line))),
    more > 0 && h('p', { class: 'dft-help' }, `… and ${number(more)} more; “Copy the report” has them all.`),
  );
}

/** The whole report as text. */
export function reportText(report: UploadReport): string {
  return [
    `${report.added} added, ${report.duplicates} duplicates, ${report.errors.length} errors`,
    ...report.errors.map(([name, reason]) => `error\t${name}\t${reason}`),
    ...report.warnings.map((warning) => `warning\t${warning}`),
  ].join('\n');
}
