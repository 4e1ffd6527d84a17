"""Published numbers, each with its source in the shared reference."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.support import Kind, columns_of, reference


@pytest.fixture(scope="module")
def rfm_values() -> Any:
    return reference("rfm.json")


def as_map(rows: list[dict[str, Any]], otherwise: str) -> om.SegmentMap:
    return om.SegmentMap([(row["segment"], {axis.lower(): tuple(row[axis]) for axis in "RFM"}) for row in rows], otherwise=otherwise)


# --------------------------------------------------------------------------------------------------------- the R package


def test_the_first_customers_of_the_r_package_get_their_published_scores(rfm_values: Any) -> None:
    """R's bins hold lower <= x < upper on the raw axis, so a recency of 115 days is past the first cut: ours are "up to 114"."""
    published, edges = rfm_values["r_rfm"]["published"]["first_10_customers"], rfm_values["r_rfm"]["derived"]["edges"]
    people = pd.DataFrame(published).rename(columns={"recency_days": "recency", "orders": "frequency", "amount": "monetary"})
    cuts = {"r": [np.ceil(e) - 1 for e in edges["r"]], "f": edges["f"], "m": edges["m"]}
    scores = om.RFMScorer(method="thresholds", thresholds=cuts).fit(people).transform(people).table
    assert scores["rfm_score"].tolist() == [float(score) for score in people["score"]]


def test_its_own_thresholds_give_the_same_scores(rfm_values: Any) -> None:
    values = rfm_values["r_rfm"]["published"]
    people = pd.DataFrame(values["first_10_customers"]).rename(
        columns={"recency_days": "recency", "orders": "frequency", "amount": "monetary"}
    )
    custom = values["custom_threshold_example"]
    cuts = {"r": [cut - 1 for cut in custom["recency"]], "f": custom["frequency"], "m": custom["monetary"]}
    scores = om.RFMScorer(method="thresholds", thresholds=cuts).fit(people).transform(people).table
    assert scores["rfm_score"].tolist() == [float(score) for score in people["score"]]


def test_the_first_customers_of_the_r_package_get_their_published_segments(rfm_values: Any) -> None:
    values = rfm_values["r_rfm"]["published"]
    people = pd.DataFrame(values["first_10_customers"]).rename(
        columns={"recency_days": "recency", "orders": "frequency", "amount": "monetary"}
    )
    edges = rfm_values["r_rfm"]["derived"]["edges"]
    cuts = {"r": [np.ceil(e) - 1 for e in edges["r"]], "f": edges["f"], "m": edges["m"]}
    report = om.SegmentMap.r_rfm().assign(om.RFMScorer(method="thresholds", thresholds=cuts).fit(people).transform(people))
    found = dict(zip(report.table["customer"], report.table["segment"], strict=True))
    published = values["segment_first_4_map_0_3_0"]
    assert {name: found[name] for name in published} == published


def test_the_preset_is_the_published_map(rfm_values: Any) -> None:
    rows = rfm_values["r_rfm"]["published"]["maps"]["0.3.0 (README; first match wins)"]
    assert om.SegmentMap.r_rfm() == as_map(rows, "Others")


@pytest.mark.parametrize("version", ["0.2.x", "0.3.0"])
def test_gaps_and_unreachable_names_of_the_published_maps(rfm_values: Any, version: str) -> None:
    maps, derived = rfm_values["r_rfm"]["published"]["maps"], rfm_values["r_rfm"]["derived"]
    rows = next(rows for name, rows in maps.items() if name.startswith(version))
    check = as_map(rows, "Others").check()
    assert len(check.gaps) == derived["unassigned_cells_of_125"][version]
    assert list(check.unreachable) == derived["unreachable_segments"][version]


# -------------------------------------------------------------------------------------------------------------- the maps


def test_rf10_is_the_published_grid_and_a_partition(rfm_values: Any) -> None:
    patterns = rfm_values["rf10_grid"]["published"]
    grid = om.SegmentMap.rf10()
    assert grid.check().is_partition
    cells = pd.DataFrame(list(product(range(1, 6), repeat=3)), columns=["r", "f", "m"])
    people = pd.DataFrame({"recency": 6 - cells["r"], "frequency": cells["f"], "monetary": cells["m"]})
    whole = {"r": [1, 2, 3, 4], "f": [2, 3, 4, 5], "m": [2, 3, 4, 5]}
    scores = om.RFMScorer(method="thresholds", thresholds=whole).fit(people).transform(people)
    assert scores.table["r_score"].tolist() == cells["r"].tolist()
    for (r, f, _), name in zip(cells.itertuples(index=False), grid.assign(scores).table["segment"], strict=True):
        (published,) = [segment for pattern, segment in patterns.items() if re.fullmatch(pattern, f"{r}{f}")]
        assert name == published


def test_the_map_of_pymc_marketing_leaves_the_published_gaps(rfm_values: Any) -> None:
    values = rfm_values["pymc_marketing_rfm"]
    preset = om.SegmentMap.pymc_marketing()
    check = preset.check()
    assert len(check.gaps) == values["derived"]["default_map_unassigned_cells_of_64"]
    assert not check.overlaps
    assert set(preset.names) == set(values["published"]["rfm_segments default"])


def test_the_putler_grid_is_found_ambiguous(rfm_values: Any) -> None:
    """Its printed ranges, on R and on the mean of F and M; a range from 0 begins at 1."""
    printed = {
        "Champion": ((4, 5), (4, 5)), "Loyalist": ((2, 5), (3, 5)), "Potential Loyalist": ((3, 5), (1, 3)), "New": ((4, 5), (1, 1)),
        "Promising": ((3, 4), (1, 1)), "Need Attention": ((2, 3), (2, 3)), "About To Sleep": ((2, 3), (1, 2)), "At Risk": ((1, 2), (2, 5)),
        "Can't Lose Them": ((1, 1), (4, 5)), "Hibernating": ((1, 2), (1, 2)), "Lost": ((1, 2), (1, 2)),
    }  # fmt: skip
    check = om.SegmentMap([(name, {"r": r, "f": f}) for name, (r, f) in printed.items()]).check()
    derived = rfm_values["putler_fm_grid"]["derived"]
    assert len({cell[:2] for cell in check.overlaps}) == derived["ambiguous_cells_of_25"]
    assert list(check.unreachable) == derived["unreachable_if_first_match"]


def test_the_eight_chinese_names_and_codes(rfm_values: Any) -> None:
    published = {row["code"]: row["zh"] for row in rfm_values["cn8_names"]["names"]}
    people = pd.DataFrame(list(product([50, 1], [1, 9], [10.0, 900.0])), columns=["recency", "frequency", "monetary"])
    people["code"] = ["".join(bits) for bits in product("01", repeat=3)]
    report = om.SegmentMap.cn8().assign(om.RFMScorer(bins=2).fit(people).transform(people))
    assert report.table["rfm_code"].tolist() == people["code"].tolist()
    assert report.table["segment"].tolist() == [published[code] for code in people["code"]]


# ---------------------------------------------------------------------------------------------------- measures elsewhere


def test_recency_days_and_means_of_the_lifetimes_fixture(rfm_values: Any, kind: Kind) -> None:
    """pymc-marketing's rfm_summary(include_first=True): active days, days since the last, mean money per active day."""
    values = rfm_values["pymc_marketing_rfm"]
    orders = pd.DataFrame(values["transactions"], columns=["id", "date", "value"]).assign(
        date=lambda f: pd.to_datetime(f["date"]), value=lambda f: f["value"].astype(float)
    )
    table = columns_of(
        om.customer_summary(
            kind.make(orders), customer="id", time="date", amount="value", as_of=values["published"]["observation_end"],
            frequency="days", monetary="mean",
        ).table
    )  # fmt: skip
    rows = zip(table["id"], table["frequency"], table["recency"], table["monetary"], strict=True)
    published = next(rows for name, rows in values["published"].items() if name.startswith("rfm_summary(include_first=True)"))
    assert [list(row) for row in rows] == published
