/** The product's own icons. Colours come from JupyterLab's `jp-icon` classes. */
import { LabIcon } from '@jupyterlab/ui-components';

const frame =
  'M4 3h16a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm0 1.8a.2.2 0 0 0-.2.2v14c0 .1.1.2.2.2h16a.2.2 0 0 0 .2-.2V5a.2.2 0 0 0-.2-.2z';

function draw(name: string, inside: string): LabIcon {
  const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">${inside}</svg>`;
  return new LabIcon({ name: `deepft-lab:${name}`, svgstr });
}

/** A picture, and in it a small network: training the entire graph on one's own images. */
export const labIcon = draw(
  'lab',
  `<g class="jp-icon3 jp-icon-selectable" fill="#616161"><path d="${frame}"/>
    <circle cx="7.4" cy="8.6" r="1.7"/><circle cx="7.4" cy="15.4" r="1.7"/><circle cx="12" cy="12" r="1.9"/>
    <circle cx="16.6" cy="8.6" r="1.7"/><circle cx="16.6" cy="15.4" r="1.7"/></g>
  <path class="jp-icon3 jp-icon-selectable" stroke="#616161" stroke-width="1" d="M7.4 8.6L12 12M7.4 15.4L12 12M12 12L16.6 8.6M12 12L16.6 15.4"/>`,
);

/** A grid of pictures. */
export const inputsIcon = draw(
  'inputs',
  '<path class="jp-icon3" fill="#616161" d="M3 3h8v8H3zm1.8 1.8v4.4h4.4V4.8zM13 3h8v8h-8zm1.8 1.8v4.4h4.4V4.8zM3 13h8v8H3zm1.8 1.8v4.4h4.4v-4.4zM13 13h8v8h-8zm1.8 1.8v4.4h4.4v-4.4z"/>',
);

/** An arrow up, out of a tray. */
export const uploadIcon = draw(
  'upload',
  '<path class="jp-icon3" fill="#616161" d="M12 3l6 6-1.3 1.3-3.8-3.8V16h-1.8V6.5l-3.8 3.8L6 9zM4 15h1.8v4.2h12.4V15H20v6H4z"/>',
);

/** Sliders: a model's template and hyperparameters. */
export const modelIcon = draw(
  'model',
  '<path class="jp-icon3" fill="#616161" d="M3 6.1h9.2a3 3 0 0 1 5.6 0H21v1.8h-3.2a3 3 0 0 1-5.6 0H3zm12-.6a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM3 16.1h3.2a3 3 0 0 1 5.6 0H21v1.8h-9.2a3 3 0 0 1-5.6 0H3zm6-.6a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z"/>',
);

/** A curve that falls: one training. */
export const versionIcon = draw(
  'version',
  '<path class="jp-icon3" fill="#616161" d="M3 3h1.8v16.2H21V21H3zm4.1 2.6l1.7-.6c1.5 4.6 3.7 8.3 11.7 9.2l-.2 1.8C11.3 15 8.7 10.6 7.1 5.6z"/>',
);

/** An eye: what a version sees in an image. */
export const predictIcon = draw(
  'predict',
  '<path class="jp-icon3" fill="#616161" d="M12 5c5 0 8.7 3.6 10.5 7-1.8 3.4-5.5 7-10.5 7S3.3 15.4 1.5 12C3.3 8.6 7 5 12 5zm0 1.800c-3.7 0-6.7 2.5-8.4 5.2 1.7 2.7 4.7 5.2 8.4 5.200s6.7-2.5 8.4-5.200c-1.7-2.7-4.7-5.2-8.4-5.200zm0 2a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.400zm0 1.700a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z"/>',
);
