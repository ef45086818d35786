"""Name the data sets, their kinds, and the half that each belongs to.

Defaults may be chosen on the tuning half only. The locked half is for the final measurement: it is
not run, read or looked at while defaults change.

The rule of the halves: sets that come from the same source form a family. Within a kind, families
are ordered by their first name, and every other one is locked, beginning with the second. A family
with members of several kinds follows its member of the kind that comes first in ``KINDS``. The
result is written out in ``TUNING`` and ``LOCKED``, and a test applies the rule again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from protocol import loading
from protocol.data import Data

__all__ = ["KINDS", "LOCKED", "SETS", "TUNING", "DataSet", "available", "half_of", "halves_by_rule"]

KINDS = ("image", "text", "table", "mixed table", "anomaly table", "embedding", "mask")


@dataclass(frozen=True)
class DataSet:
    """A named data set that is read when it is first needed.

    ``rows`` is its number of rows, ``files`` the folder of ``NARROWS_DATA`` that it is read from;
    an empty one means that it comes with an installed package.
    """

    name: str
    kind: str
    rows: int
    load: Callable[[], Data]
    files: str = ""
    family: str = ""


def _tables() -> list[DataSet]:
    rows = {"breast_cancer": 569, "diabetes": 442, "iris": 150, "wine": 178}
    return [DataSet(name, "table", n, partial(loading.sklearn_table, name))
            for name, n in rows.items()]  # fmt: skip


def _images() -> list[DataSet]:
    return [
        DataSet("cats", "image", 9303, loading.cats, "cat_faces"),
        DataSet("digits", "image", 1797, loading.digits),
        DataSet("fashion_mnist", "image", 70_000,
                partial(loading.idx_images, "fashion_mnist"), "fashion_mnist"),
        DataSet("mnist", "image", 70_000, partial(loading.idx_images, "mnist"), "mnist"),
        DataSet("nuclei", "image", 664, partial(loading.nuclei, 32), "nuclei_dsb2018"),
    ]  # fmt: skip


def _masks() -> list[DataSet]:
    return [
        DataSet("ink", "mask", 1797, loading.ink, family="digits"),
        DataSet("nuclei_masks", "mask", 664, partial(loading.nuclei, 64), "nuclei_dsb2018",
                family="nuclei"),
    ]  # fmt: skip


def _texts() -> list[DataSet]:
    return [
        DataSet("20newsgroups", "text", 18_846, loading.newsgroups, "20newsgroups"),
        DataSet("arxiv", "text", 20_000, loading.arxiv, "arxiv_abstracts"),
        DataSet("docstrings", "text", 1000, loading.docstrings),
        DataSet("reuters", "text", 12_902, loading.reuters, "reuters21578"),
    ]


def _embeddings() -> list[DataSet]:
    return [
        DataSet("20newsgroups_minilm", "embedding", 8000,
                partial(loading.embeddings, "20newsgroups"), "embeddings", "20newsgroups"),
        DataSet("reuters_minilm", "embedding", 6000,
                partial(loading.embeddings, "reuters21578"), "embeddings", "reuters"),
    ]  # fmt: skip


def _mixed_tables() -> list[DataSet]:
    rows = {"ames": 2930, "attrition": 1470, "covid_testing": 15_524, "credit_data": 4454,
            "diamonds": 20_000, "flights": 40_000, "loans_full_schema": 10_000, "penguins": 344,
            "wa_churn": 7043}  # fmt: skip
    return [DataSet(name, "mixed table", n, partial(loading.mixed_table, name), "mixed_tables")
            for name, n in rows.items()]  # fmt: skip


def _anomaly_tables() -> list[DataSet]:
    # name, number in ADBench's file names, rows, family where it is not alone in one
    adbench = [
        ("annthyroid", 2, 7200, "thyroid"), ("breastw", 4, 683, "wisconsin"),
        ("Cardiotocography", 7, 2114, ""), ("fault", 12, 1941, ""), ("Hepatitis", 15, 80, ""),
        ("InternetAds", 17, 1966, ""), ("landsat", 19, 6435, "landsat"),
        ("Lymphography", 21, 148, ""), ("adbench_mnist", 24, 7603, "mnist"),
        ("optdigits", 26, 5216, "digits"), ("pendigits", 28, 6870, ""),
        ("satimage-2", 31, 5803, "landsat"), ("shuttle", 32, 49_097, ""),
        ("smtp", 34, 95_156, ""), ("SpamBase", 35, 4207, ""), ("thyroid", 38, 3772, "thyroid"),
        ("vertebral", 39, 240, ""), ("Waveform", 41, 3443, ""), ("WBC", 42, 223, "wisconsin"),
        ("Wilt", 44, 4819, ""), ("WPBC", 46, 198, "breast_cancer"),
    ]  # fmt: skip
    files = "adbench_classical"
    tables = [
        DataSet(name, "anomaly table", rows, partial(loading.adbench, f"{number}_", name),
                files, family)
        for name, number, rows, family in adbench
    ]  # fmt: skip
    for name, rows in (("breast_cancer", 569), ("wine", 178)):
        load = partial(loading.rare_class, name)
        tables.append(DataSet(f"{name}_rare", "anomaly table", rows, load, family=name))
    return tables


SETS: dict[str, DataSet] = {
    s.name: s
    for s in (*_tables(), *_images(), *_masks(), *_texts(), *_embeddings(), *_mixed_tables(),
              *_anomaly_tables())
}  # fmt: skip

TUNING = frozenset(
    """
    20newsgroups 20newsgroups_minilm ames annthyroid breast_cancer breast_cancer_rare breastw
    Cardiotocography cats covid_testing diamonds docstrings fashion_mnist Hepatitis iris landsat
    loans_full_schema nuclei nuclei_masks pendigits satimage-2 smtp thyroid wa_churn Waveform WBC
    WPBC
    """.split()
)

LOCKED = frozenset(
    """
    adbench_mnist arxiv attrition credit_data diabetes digits fault flights ink InternetAds
    Lymphography mnist optdigits penguins reuters reuters_minilm shuttle SpamBase vertebral Wilt
    wine wine_rare
    """.split()
)


def half_of(name: str) -> str:
    """Return "tuning" or "locked"."""
    return "tuning" if name in TUNING else "locked"


def halves_by_rule() -> tuple[frozenset[str], frozenset[str]]:
    """Return the tuning and the locked half as the rule at the top of this file makes them."""
    families: dict[str, list[DataSet]] = {}
    for one in SETS.values():
        families.setdefault(one.family or one.name, []).append(one)
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for family, members in families.items():
        by_kind[min((m.kind for m in members), key=KINDS.index)].append(family)
    locked = {f for kind in KINDS for f in sorted(by_kind[kind], key=str.lower)[1::2]}
    names = {one.name for family in locked for one in families[family]}
    return frozenset(SETS) - names, frozenset(names)


def available(one: DataSet) -> bool:
    """Return whether the files of a set are there."""
    folder = os.environ.get("NARROWS_DATA")
    return not one.files or bool(folder and (Path(folder) / one.files).is_dir())
