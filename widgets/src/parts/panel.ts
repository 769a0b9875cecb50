/** Mounts the part that a saved panel names: what the notebook's `application/vnd.deepft.panel+json` output holds. */
import type { Context, Part } from '../context';
import { keepKeys } from '../keyboard';
import { gallery } from './gallery';
import { modelForm } from './modelForm';
import { predictView } from './predictView';
import { uploader } from './uploader';
import { versionView } from './versionView';

export interface PanelTarget {
  kind: string;
  owner: string;
  app: string;
  model?: string | null;
  version?: string | null;
}

export function mountPanel(host: HTMLElement, context: Context, target: PanelTarget): Part {
  host.classList.add('dft-cell');
  const release = keepKeys(host);
  const part = partOf(host, context, target);
  return {
    dispose() {
      release();
      part.dispose();
    },
  };
}

function partOf(host: HTMLElement, context: Context, target: PanelTarget): Part {
  const { kind, owner, app } = target;
  const model = target.model ?? '';
  const version = target.version ?? '';
  switch (kind) {
    case 'upload':
      return uploader(host, context, { owner, app });
    case 'annotate':
    case 'inputs':
      return gallery(host, context, { owner, app });
    case 'template':
    case 'model':
      return modelForm(host, context, { owner, app, model: model || undefined });
    case 'training':
    case 'version':
      return versionView(host, context, { owner, app, model, version });
    case 'predict':
      return predictView(host, context, { owner, app, model, version });
    default:
      host.textContent = `This version of DeepFT Lab has no panel of the kind “${kind}”.`;
      return { dispose: () => host.replaceChildren() };
  }
}
