"""What makes photos stale when options change, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from glasseg import config
from glasseg.config import INPUT_SIDE, PRESETS, Preset, WhitenConfig

DEFAULT = WhitenConfig().options_id
OUTPUT_OPTIONS: dict[str, list[Any]] = {
    "mask": [True], "format": ["jpeg", "png", "webp", "tiff", "avif"], "quality": [80, 96],
    "background": ["transparent", "#f5f5f5"], "lenses": ["keep"], "shadow": ["soft"],
    "frame": [(1, 1), (25, 36)], "fill": [0.8, 0.85], "size": [1600], "straighten": [True], "max_upscale": [2.0],
    "dpi": [72, 300], "clipping_path": [True], "path_tolerance": [0.2, 2.0],
    "scale_by": ["model"], "width_mm": ["width"], "across_mm": [180.0],
}  # fmt: skip
OTHER_VALUES = {
    "model": "elsewhere", "workers": 7, "cpus_per_worker": 3, "gpus_per_worker": 0.5,
    "memory_per_worker": 3.0, "address": "ray://there:1",
    "limit": 5, "max_flagged": 0.5, "max_pixels": 9, "endpoint_url": "http://there", "overwrite": True,
    "verbose": True, "summary_json": "s.json", "check": ("amazon",), "photos": "list.csv", "column": "sku",
    "listing": "stock.parquet", "redo": "all", "gone": "delete", "yes": True, "new_source": True, "gates": False,
    "stop_above": 1.0, "dry_run": True, "price_per_hour": 2.0, "report": False, "editor": True, "keep_seconds": 1.0,
    "log_json": True, "review_below": 0.9, "all_folders": True, "export": "catalog.csv", "outputs": "outputs.toml",
    "export_columns": ("sku",), "notify": "https://there/hook", "name": "{stem}.png",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUTPUT_OPTIONS.items() for value in values]
)
def test_an_option_that_changes_outputs_changes_the_id(name: str, value: Any) -> None:
    assert replace(WhitenConfig(), **{name: value}).options_id != DEFAULT


def test_different_choices_have_different_ids() -> None:
    choices = [WhitenConfig(**{name: value}) for name, values in OUTPUT_OPTIONS.items() for value in values]
    choices.append(WhitenConfig(format="png", mask=True))
    assert len({choice.options_id for choice in choices}) == len(choices)


@pytest.mark.parametrize("name", [field.name for field in fields(WhitenConfig) if field.name not in OUTPUT_OPTIONS])
def test_any_other_option_leaves_photos_fresh(name: str) -> None:
    # every option is in one of the two tables: a new one has to be put in the right one
    assert replace(WhitenConfig(), **{name: OTHER_VALUES[name]}).options_id == DEFAULT


def test_what_a_column_is_called_changes_no_picture() -> None:
    chosen = {"scale_by": "model", "width_mm": "width"}
    assert WhitenConfig(**chosen).options_id == WhitenConfig(scale_by="product", width_mm="mm").options_id


def test_a_default_given_by_hand_is_still_the_default() -> None:
    assert WhitenConfig(mask=False, format="keep", quality=95).options_id == DEFAULT


def test_ids_are_the_same_on_every_machine_and_in_every_release() -> None:
    assert config.PIPELINE_VERSION == 6
    assert DEFAULT == "923b79246f23"
    assert WhitenConfig(format="png").options_id == "37d8ed37db61"


def test_options_that_came_later_make_no_photo_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of the first release, which had mask, format and quality only."""
    monkeypatch.setattr(config, "PIPELINE_VERSION", 1)
    assert WhitenConfig().options_id == "1c8babbd86f2"
    assert WhitenConfig(format="png").options_id == "7c58349cf179"


def test_a_new_pipeline_version_makes_photos_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "PIPELINE_VERSION", config.PIPELINE_VERSION + 1)
    assert WhitenConfig().options_id != DEFAULT


def test_the_record_of_a_run_names_only_what_was_chosen() -> None:
    assert WhitenConfig().chosen() == {}
    assert WhitenConfig(format="png", limit=3, quality=95).chosen() == {"format": "png", "limit": 3}


@pytest.mark.parametrize("name", ["preset", "monitor", "loss", "optimizer", "precision", "resize"])
def test_a_recipe_with_an_unknown_word_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} 'sgd' is not one of"):
        replace(PRESETS["compact"], **{name: "sgd"})


def test_every_preset_is_a_network() -> None:
    assert {name: recipe.preset for name, recipe in PRESETS.items()} == {name: name for name in INPUT_SIDE}
    assert set(PRESETS) == set(get_args(Preset))
