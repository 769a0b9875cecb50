/** The parts that the sidebar and the notebook panels draw with. Styles: `@deepft-lab/parts/lib/style.css`. */
export * from './api';
export { sharePage } from './cell';
export { ApiError, Client, serverSettings } from './client';
export type { CallOptions, Settings } from './client';
export * from './context';
export { sharedStream, Stream } from './stream';
export type { ChangedData, EventData, StreamHandler, StreamMessage } from './stream';
export { askToDelete, deleteVersion } from './parts/deletion';
export { gallery } from './parts/gallery';
export { modelForm } from './parts/modelForm';
export { mountPanel } from './parts/panel';
export type { PanelTarget } from './parts/panel';
export { predictView } from './parts/predictView';
export { uploader } from './parts/uploader';
export { versionRow } from './parts/versionRow';
export type { VersionRow, VersionRowOptions } from './parts/versionRow';
export { versionView } from './parts/versionView';
export * from './format';
