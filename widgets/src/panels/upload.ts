/** `app.upload_panel()`: the uploader in a cell; the kernel gets the report. */
import { panel, targetOf } from '../cell';
import type { UploadReport } from '../context';
import { uploader } from '../parts/uploader';

export default panel((host, context, model) => {
  const { owner, app } = targetOf(model);
  const last = model.get('_report') as UploadReport;
  return uploader(host, context, {
    owner,
    app,
    report: Array.isArray(last.errors) ? last : undefined,
    onReport(report) {
      model.set('_report', report);
      model.save_changes();
    },
  });
});
