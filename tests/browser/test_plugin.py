"""Manners of the plugin: what is refused, what comes back after a reload, what is said when the server is gone."""

from __future__ import annotations

import io
import re
from typing import Any

from PIL import Image
from playwright.sync_api import expect


def test_an_id_that_is_taken_is_refused_in_the_dialog_which_stays_open(window: Any, lab: Any) -> None:
    lab.create_app("taken")
    window.open_sidebar()
    window.by("create-app").click()
    window.by("form-id").fill("taken")
    window.by("form-id").press("Enter")
    expect(window.by("form-failure")).to_contain_text("taken")
    window.by("form-id").fill("free")
    window.by("form-id").press("Enter")
    expect(window.by("app-contents", app="free")).to_be_visible()
    assert {app.id for app in lab.apps()} >= {"taken", "free"}


def test_deleting_an_app_wants_its_id_and_closes_its_tabs(window: Any, lab: Any) -> None:
    lab.create_app("keep")
    lab.create_app("gone")
    window.show_app("gone")
    window.by("create-model").click()
    expect(window.by("page-model")).to_be_visible()
    window.by("app-menu").click()
    window.page.locator(".lm-Menu-item", has_text="Delete App").click()
    accept = window.page.locator(".jp-Dialog .jp-mod-accept")
    expect(accept).to_be_disabled()
    window.by("form-id").fill("gon")
    expect(accept).to_be_disabled()
    window.by("form-id").fill("gone")
    accept.click()
    expect(window.by("page-model")).to_have_count(0)
    expect(window.by("app-item", app="gone")).to_have_count(0)
    assert "gone" not in {app.id for app in lab.apps()}


def test_tabs_and_the_chosen_app_come_back_after_a_reload(window: Any, lab: Any) -> None:
    saved: list[str] = []
    window.page.on("request", lambda sent: saved.append(sent.post_data or "") if "api/workspaces" in sent.url else None)
    lab.create_app("again")
    window.show_app("again")
    window.by("inputs-open").click()
    window.by("create-model").click()
    expect(window.by("model-form")).to_be_visible()
    wanted = (r'"deepft-lab:inputs/[^"]+/again"', r'"deepft-lab:model/[^"]+/again"', '"app":"again"')
    window.until(lambda: all(re.search(part, "".join(saved[-1:])) for part in wanted))  # after a pause
    window.page.wait_for_timeout(200)  # for the server's answer
    window.page.reload()
    expect(window.by("app-contents", app="again")).to_be_visible(timeout=60_000)
    tabs = window.page.locator("#jp-main-dock-panel .lm-TabBar-tab")
    expect(tabs.filter(has_text="again: Inputs")).to_have_count(1)
    expect(tabs.filter(has_text="again: New model")).to_have_count(1)
    expect(window.by("model-form")).to_be_visible()


def test_a_server_that_is_gone_is_named_until_it_is_back(window: Any, lab: Any) -> None:
    lab.create_app("lost")
    window.show_app("lost")
    window.page.route("**/deepft/api/**", lambda route: route.abort())
    window.by("refresh").click()
    expect(window.by("trouble")).to_contain_text("does not answer")
    expect(window.by("app-contents", app="lost")).to_be_visible()  # what was known stays
    window.page.unroute("**/deepft/api/**")
    window.by("trouble-retry").click()
    expect(window.by("trouble")).to_have_count(0)


def test_an_upload_goes_on_in_a_toast_while_its_page_is_hidden(window: Any, lab: Any) -> None:
    app = lab.create_app("hidden")
    window.show_app("hidden")
    window.by("upload").click()
    page = window.by("page-upload")
    page.get_by_test_id("uploader").wait_for()
    window.page.route("**/files?*", lambda route: (window.page.wait_for_timeout(300), route.continue_()))
    files = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": _picture(i)} for i in range(8)]
    page.get_by_test_id("file-input").set_input_files(files)
    window.by("create-model").click()
    toast = window.page.locator(".Toastify__toast")
    expect(toast.filter(has_text="Uploading to hidden")).to_be_visible()
    expect(toast.filter(has_text="8 inputs added to hidden")).to_be_visible()
    assert app.count() == 8


def _picture(shade: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), (shade * 20, 10, 10)).save(content, "PNG")
    return content.getvalue()
