/** The pages of a version: how it trains, and what it says of new images. */
import { predictView, versionView } from '@deepft-lab/parts';
import type { Context, Part, VersionTarget } from '@deepft-lab/parts';

export function versionPage(
  host: HTMLElement,
  context: Required<Context>,
  target: VersionTarget & { kind: 'version' | 'predict' },
): Part {
  const { owner, app, model, version } = target;
  const body = document.createElement('div');
  body.className = 'deepft-Page-main';
  host.append(body);
  const mount = target.kind === 'predict' ? predictView : versionView;
  const part = mount(body, context, { owner, app, model, version });
  return {
    dispose: () => {
      part.dispose();
      host.replaceChildren();
    },
  };
}
