/** `model.template_panel()`: the model's form in a cell, and below it the training that it starts. */
import { panel, targetOf } from '../cell';
import type { Part } from '../context';
import { h } from '../dom';
import { modelForm } from '../parts/modelForm';
import { versionView } from '../parts/versionView';

export default panel((host, context, model) => {
  const { owner, app, model: id } = targetOf(model);
  const formHost = h('div');
  const viewHost = h('div');
  host.append(formHost, viewHost);
  let view: Part | null = null;
  const form = modelForm(formHost, context, {
    owner,
    app,
    model: id,
    onValue(value) {
      model.set('_value', value);
      model.save_changes();
    },
    onTrain(version) {
      model.set('_version', version.id);
      model.save_changes();
      view?.dispose();
      view = versionView(viewHost, context, { owner, app, model: version.model, version: version.id });
    },
  });
  return {
    dispose() {
      form.dispose();
      view?.dispose();
    },
  };
});
