"""The form of a new model in JupyterLab: every template, from its schema; new and broken template files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from playwright.sync_api import expect

NOT_YAML = "backbone: [resnet50"
# What stands in the fields of the form, by their names; null for a field that cannot be seen.
SHOWN = """names => Object.fromEntries(names.map((name) => {
    const control = document.querySelector(`[data-testid="field-${name}"]`);
    if (!control?.checkVisibility()) return [name, null];
    const token = control.closest('.dft-token-field')?.querySelector('.dft-chip-text');
    return [name, control.type === 'checkbox' ? String(control.checked) : (token?.textContent ?? control.value)];
}))"""
FILL = """values => {
    for (const [name, value] of Object.entries(values)) {
        const control = document.querySelector(`[data-testid="field-${name}"]`);
        control.value = value;
        control.dispatchEvent(new InputEvent('input', {bubbles: true}));
    }
}"""
# The fields whose fault can be read.
FAULTY = """() => [...document.querySelectorAll('[data-testid^="fault-"]')]
    .filter((fault) => fault.checkVisibility() && fault.textContent.trim())
    .map((fault) => fault.dataset.testid.slice('fault-'.length)).sort()"""


@pytest.mark.timeout(600)
def test_the_form_of_every_template_shows_its_defaults_and_refuses_wrong_values(window: Any, lab: Any) -> None:
    form = _open_form(window, lab, "forms")
    templates = list(lab.templates())
    assert len(templates) >= len(list((ROOT / "templates").rglob("*.yaml"))) - len(lab.broken_templates())
    seen = []
    for template in templates:
        form.get_by_test_id(f"type-{template.type}").check()
        form.get_by_test_id(f"template-{template.id}").check()
        names = [field.name for field in template.fields]
        form.get_by_test_id(f"field-{names[-1]}").wait_for(state="attached")
        form.get_by_test_id("more").evaluate("more => { more.open = true; }")
        shown = window.page.evaluate(SHOWN, names)
        differing = {
            field.name: (shown[field.name], field.default)
            for field in template.fields
            if not _same(shown[field.name], field.default)
        }
        assert not differing, (template.id, differing)

        wrong = {field.name: value for field in template.fields if (value := _wrong_value(field)) is not None}
        assert wrong, template.id
        window.page.evaluate(FILL, wrong)
        window.page.wait_for_function(f"names => ({FAULTY})().join() === names", arg=",".join(sorted(wrong)))
        form.get_by_test_id("reset").click()
        window.page.wait_for_function(f"() => ({FAULTY})().length === 0")
        seen.append(template.id)
    assert len(seen) == len(set(seen)) == len(templates)
    assert not window.errors


def test_a_template_file_appears_after_a_refresh_and_a_broken_one_hides_nothing(
    window: Any, lab: Any, server: Any
) -> None:
    form = _open_form(window, lab, "files")
    form.get_by_test_id("type-visual-classifier").check()
    form.get_by_test_id("template-classifier-mobilenet-v2").check()
    form.get_by_test_id("field-num_epochs").fill("7")
    before = _templates(form)
    folder = server.home / "data" / "deepft-lab" / "templates"
    folder.mkdir(parents=True)
    text = (ROOT / "templates" / "visual-classifier" / "classifier-mobilenet-v2.yaml").read_text()
    (folder / "ours.yaml").write_text(text.replace("id: classifier-mobilenet-v2", "id: our-own", 1))
    (folder / "torn.yaml").write_text("id: torn\ntype: visual-classifier\nfields: 3\n")
    form.get_by_test_id("templates-refresh").click()
    expect(form.get_by_test_id("template-our-own")).to_be_visible()
    assert before | {"template-our-own"} <= _templates(form)
    broken = form.get_by_test_id("broken-template").filter(has_text="torn.yaml")
    broken.locator("summary").click()
    expect(broken.locator("li").first).to_be_visible()
    # what was chosen and typed stays
    expect(form.get_by_test_id("template-classifier-mobilenet-v2")).to_be_checked()
    expect(form.get_by_test_id("field-num_epochs")).to_have_value("7")
    for path in (folder / "ours.yaml", folder / "torn.yaml"):
        Path(path).unlink()
    form.get_by_test_id("templates-refresh").click()
    expect(form.get_by_test_id("template-our-own")).to_have_count(0)
    expect(broken).to_have_count(0)
    assert before <= _templates(form)


def _open_form(window: Any, lab: Any, app: str) -> Any:
    lab.create_app(app)
    window.show_app(app)
    form = window.by("model-form")
    window.click_until(window.by("create-model"), form.get_by_test_id("reset"))
    return form


def _templates(form: Any) -> set[str]:
    radios = form.locator('[data-testid^="template-"]')
    return set(radios.evaluate_all("radios => radios.map((radio) => radio.dataset.testid)"))


def _same(shown: str | None, default: Any) -> bool:
    if shown is None or default is None:
        return shown == ("" if default is None else None)
    if isinstance(default, bool):
        return shown == str(default).lower()
    if isinstance(default, list):
        return [float(part) for part in shown.split(",") if part.strip()] == [float(value) for value in default]
    if isinstance(default, (int, float)):
        return float(shown) == float(default)
    return shown == default


def _wrong_value(field: Any) -> str | None:
    """What a person could type that the field must refuse; None where anything goes."""
    if field.type in ("integer", "number"):
        return "many" if field.min is None else str(field.min - 1)
    if field.type in ("integers", "numbers"):
        return "12, many"
    return NOT_YAML if field.unit == "yaml" else None
