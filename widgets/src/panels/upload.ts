/** `app.upload_panel()`: the uploader in a cell; the kernel gets the report. */
import { panel, targetOf } from '../cell';
import { uploader } from '../parts/uploader';

export default panel((host, context, model) => {
  const { owner, app } = targetOf(model);
  return uploader(host, context, {
    owner,
    app,
    onReport(report) {
      model.set('_report', report);
      model.save_changes();
    },
  });
});
