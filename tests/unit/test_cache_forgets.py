"""Decoded pictures lie in the store too, and go with their app."""

from __future__ import annotations

import numpy
from desk import ANN, Desk

from deepft_lab.training import cache


def test_the_decoded_pictures_of_a_deleted_app_are_blanked(desk: Desk) -> None:
    other = Desk(desk.lab, app="birds").create()
    desk.photos("ant", 2)
    shared = other.photos("ant", 1)  # the same picture in both apps
    keys = [blob.name for blob in desk.lab.blobs.folder.glob("??/*") if len(blob.name) == 64]
    own = [key for key in keys if not key.startswith(shared[0])]
    cache.fill(desk.lab.cache_path, 8, dict.fromkeys(keys, 8 * 8 * 3), lambda key: numpy.full((8, 8, 3), 77, "uint8"))
    desk.lab.delete_app(ANN, owner="ann", app="insects")
    (pack,) = cache.find(desk.lab.cache_path, 8, keys)
    assert own and all(pack.picture(key) is None for key in own)
    (kept,) = set(keys) - set(own)
    assert pack.picture(kept) is not None
