/** Toasts for what ended while one looked elsewhere. */
import { Notification } from '@jupyterlab/apputils';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type Context, duration, metricName, type ModelVersion, score } from '@deepft-lab/parts';
import { showText } from './context';
import type { LabModel } from './model';

const REASON_LENGTH = 90;

/** Says which of one's own trainings ended, and how, unless the settings say not to. */
export function toastFinished(
  model: LabModel,
  context: Required<Context>,
  loading: Promise<ISettingRegistry.ISettings> | null,
): void {
  let settings: ISettingRegistry.ISettings | null = null;
  loading
    ?.then((loaded) => {
      settings = loaded;
    })
    .catch((error: unknown) => console.warn('DeepFT Lab: the settings cannot be read.', error));
  model.finished.connect((_, version) => {
    const wanted = settings?.composite['toasts'] !== false;
    if (!wanted || (model.me && version.author !== model.me.user)) {
      return;
    }
    const { owner, app } = version;
    const open = {
      label: 'Open',
      caption: `Open ${version.model} ${version.id}`,
      callback: () =>
        context.open({ kind: 'version', owner, app, model: version.model, version: version.id }),
    };
    const name = `${version.model} ${version.id}`;
    if (version.state === 'trained') {
      Notification.success(`${name} is trained in ${duration(version.seconds_used)}${best(version)}.`, {
        autoClose: 10000,
        actions: [open],
      });
    } else {
      Notification.error(`${name} failed: ${short(version.reason)}`, {
        autoClose: false,
        actions: [
          { label: 'Details', callback: () => void showText(version.reason, `${name} failed`) },
          { ...open, displayType: 'accent' },
        ],
      });
    }
  });
}

function best(version: ModelVersion): string {
  const value = version.metrics[version.best_metric];
  return value === null || value === undefined ? '' : `, ${metricName(version.best_metric)} ${score(value)}`;
}

function short(reason: string): string {
  const line = reason.split('\n')[0];
  return line.length > REASON_LENGTH ? `${line.slice(0, REASON_LENGTH).trimEnd()}…` : line;
}
