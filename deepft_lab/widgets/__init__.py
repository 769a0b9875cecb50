"""Panels of a notebook: the same parts as in the sidebar, as ipywidgets whose outcome the next cell can use.

panel = app.upload_panel()       # panel.report
app.annotate_panel()             # panel.value
app.annotate_panel("box")        # panel.value
model.template_panel()           # panel.value, panel.version
version.training_panel()         # panel.metrics
"""

from deepft_lab.widgets.annotate import AnnotatePanel
from deepft_lab.widgets.annotate_regions import RegionPanel
from deepft_lab.widgets.template import TemplatePanel
from deepft_lab.widgets.training import TrainingPanel
from deepft_lab.widgets.upload import UploadPanel

__all__ = ["AnnotatePanel", "RegionPanel", "TemplatePanel", "TrainingPanel", "UploadPanel"]
