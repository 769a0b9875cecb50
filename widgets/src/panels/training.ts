/** `version.training_panel()`: a version in a cell, live; the kernel gets state and metrics when they change. */
import type { ModelVersion } from '../api';
import { panel, targetOf } from '../cell';
import { versionView } from '../parts/versionView';

export default panel((host, context, model) => {
  let told = '';

  /** The kernel hears of states and epochs, not of every step. */
  const tell = (version: ModelVersion): void => {
    const { state, epoch, epochs, metrics, metrics_by_concept, best_epoch, reason } = version;
    const outcome = { state, epoch, epochs, metrics, metrics_by_concept, best_epoch, reason };
    const text = JSON.stringify(outcome);
    if (text !== told) {
      told = text;
      model.set('_outcome', outcome);
      model.save_changes();
    }
  };
  return versionView(host, context, { ...targetOf(model), onChange: tell });
});
