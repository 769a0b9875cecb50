/** The page of an app's inputs: the gallery, and above it the uploader when it is wanted. */
import { gallery, plural, uploader } from '@deepft-lab/parts';
import type { AppTarget, Context, Part, UploadReport } from '@deepft-lab/parts';
import { uploadToast } from './uploadToast';

/** A page that asks before it is closed, with the reason, while something in it would be lost. */
export interface GuardedPart extends Part {
  unfinished?(): string;
}

export function inputsPage(
  host: HTMLElement,
  context: Required<Context>,
  target: AppTarget & { kind: 'inputs' | 'upload' },
): GuardedPart {
  const { owner, app } = target;
  const section = document.createElement('details');
  section.className = 'deepft-UploadSection';
  section.dataset['testid'] = 'upload-section';
  section.open = target.kind === 'upload';
  const summary = document.createElement('summary');
  summary.textContent = 'Upload inputs';
  summary.title = 'Show or hide the uploader';
  const body = document.createElement('div');
  section.append(summary, body);
  const pictures = document.createElement('div');
  pictures.className = 'deepft-Page-main';
  host.append(section, pictures);

  const parts = [
    uploader(body, context, { owner, app, onReport: (report) => announce(report, app, section, context) }),
    gallery(pictures, context, { owner, app }),
  ];
  const reveal = (): void => {
    section.open = true;
    section.scrollIntoView({ block: 'nearest' });
  };
  host.addEventListener('deepft-upload', reveal);
  const toast = uploadToast(body, app);
  return {
    unfinished: () =>
      toast.running() ? 'The upload is not finished: what is not sent yet is left out.' : '',
    dispose: () => {
      host.removeEventListener('deepft-upload', reveal);
      toast.dispose();
      parts.forEach((part) => part.dispose());
      host.replaceChildren();
    },
  };
}

/** Who looked elsewhere while the files went up hears how it ended. */
function announce(report: UploadReport, app: string, section: HTMLElement, context: Required<Context>): void {
  if (section.offsetParent !== null) {
    return;
  }
  const failed = report.errors.length;
  const words = [`${plural(report.added, 'input')} added to ${app}`];
  if (report.duplicates) {
    words.push(plural(report.duplicates, 'duplicate'));
  }
  if (failed) {
    words.push(`${plural(failed, 'file')} not taken: the upload page says why`);
  }
  context.notify(words.join(', '), failed ? 'warning' : 'success');
}
