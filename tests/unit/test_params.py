"""The one check of hyperparameters."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from deepft_lab import params
from deepft_lab.records import Field

FIELDS = [
    Field(name="batch_size", type="integer", default=64, help="", min=1, max=256, step=1),
    Field(name="per_item_lrate", type="number", default=1e-5, help="", min=0),
    Field(name="image_size", type="integer", default=224, help="", min=32, max=1024, step=16),
    Field(name="flip", type="boolean", default=True, help=""),
    Field(name="direction", type="choice", default="horizontal", help="", choices=["horizontal", "vertical"]),
    Field(name="epochs_of_decay", type="integers", default=[30, 40], help="", min=1),
    Field(name="note", type="text", default="", help=""),
    Field(name="limit", type="number", default=None, help="", nullable=True),
]


def test_defaults_complete_the_values() -> None:
    values, faults = params.check(FIELDS, {"batch_size": 16})
    assert faults == []
    assert values == {**params.defaults(FIELDS), "batch_size": 16}


def test_every_fault_is_reported_at_once_and_wrong_values_stay() -> None:
    given_values = {
        "batch_size": 0,
        "per_item_lrate": "fast",
        "image_size": 100,
        "flip": 1,
        "direction": "sideways",
        "epochs_of_decay": [1, 0.5],
        "note": 3,
        "nonsense": 1,
    }
    values, faults = params.check(FIELDS, given_values)
    assert {fault.field for fault in faults} == set(given_values)
    assert values["batch_size"] == 0 and values["direction"] == "sideways"
    reasons = {fault.field: fault.reason for fault in faults}
    assert "between 1 and 256" in reasons["batch_size"]
    assert "steps of 16 from 32" in reasons["image_size"]
    assert "horizontal, vertical" in reasons["direction"]


def test_a_whole_number_may_come_as_a_float_but_no_number_as_a_text_or_a_boolean() -> None:
    assert params.check(FIELDS, {"batch_size": 8.0})[0]["batch_size"] == 8
    for wrong in ("8", True, 8.5, math.nan, math.inf, [8], {}):
        assert params.check(FIELDS, {"batch_size": wrong})[1], wrong


def test_a_number_out_of_reach_is_told_in_words_with_the_way_back() -> None:
    said = {
        f.field: f.reason for f in params.check(FIELDS, {"per_item_lrate": -1, "batchsize": 8, "batch_size": 300})[1]
    }
    assert said["per_item_lrate"] == "It must be at least 0."
    assert said["batch_size"] == "It must lie between 1 and 256."
    assert "Did you mean batch_size?" in said["batchsize"] and "per_item_lrate" in said["batchsize"]


def test_a_long_range_is_told_to_the_last_digit() -> None:
    seed = Field(name="seed", type="integer", default=-1, min=-1, max=2**32 - 1, help="")
    assert params.check([seed], {"seed": -2})[1][0].reason == "It must lie between -1 and 4294967295."


def test_a_number_too_large_for_its_steps_is_a_fault_and_a_large_whole_number_is_whole() -> None:
    stepped = Field(name="share", type="number", default=0.1, step=0.001, help="")
    assert params.check([stepped], {"share": 1e308})[1]
    whole = Field(name="count", type="integer", default=1, help="")
    assert params.check([whole], {"count": 2**53 + 1}) == ({"count": 2**53 + 1}, [])


def test_true_and_false_are_the_choices_of_those_names() -> None:
    field = Field(name="exclusive", type="choice", default="auto", choices=["auto", "true", "false"], help="")
    assert params.check([field], {"exclusive": False}) == ({"exclusive": "false"}, [])
    assert params.check([field], {"exclusive": True}) == ({"exclusive": "true"}, [])
    other = Field(name="direction", type="choice", default="a", choices=["a"], help="")
    assert params.check([other], {"direction": True})[1]


def test_null_only_where_the_field_allows_it() -> None:
    assert not params.check(FIELDS, {"limit": None})[1]
    assert params.check(FIELDS, {"batch_size": None})[1]


@settings(deadline=None)
@given(
    some.dictionaries(
        some.sampled_from([field.name for field in FIELDS]),
        some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    )
)
@example({"batch_size": 10**400})
@example({"batch_size": -(10**400)})
def test_no_value_breaks_the_check(values) -> None:
    complete, faults = params.check(FIELDS, values)
    assert set(complete) == {field.name for field in FIELDS}
    assert {fault.field for fault in faults} <= set(values)


def test_the_effective_learning_rate_is_per_item_times_batch_times_ranks() -> None:
    values = {"per_item_lrate": 1.953125e-5, "batch_size": 64}
    assert params.effective_lrate(values) == pytest.approx(0.00125)
    assert params.effective_lrate(values, ranks=2) == pytest.approx(0.0025)
    assert params.effective_lrate({"lrate": 0.1, "batch_size": 64}) == 0.1
    assert params.effective_lrate({"per_item_lrate": "x", "batch_size": 64}) is None


def test_steps_of_an_epoch_count_the_smaller_last_batch() -> None:
    assert params.steps_per_epoch({"batch_size": 32}, 244) == 8
    assert params.steps_per_epoch({"batch_size": 32}, 244, ranks=2) == 4
    assert params.steps_per_epoch({"batch_size": 32}, None) is None
    assert params.steps_per_epoch({"batch_size": "x"}, 10) is None


def test_pythons_none_is_the_choice_of_that_name() -> None:
    field = Field(
        name="pretrained_weights", type="choice", default="ImageNet-1k", choices=["None", "ImageNet-1k"], help=""
    )
    assert params.check([field], {"pretrained_weights": None}) == ({"pretrained_weights": "None"}, [])
