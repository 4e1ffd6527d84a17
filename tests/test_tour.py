"""The tour, as a newcomer runs it: `python -m opsmetrics` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics.__main__ import FAMILIES
from tests.support import data

SECONDS = 10


def tour(*options: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the tour; variables that would change how it speaks are taken out first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "PYTHONIO", "PYTHONUTF8", "PYTHONWARN")) and k != "LANG"}
    command = [sys.executable, "-W", "error", *options, "-m", "opsmetrics"]
    return subprocess.run(command, capture_output=True, check=False, env=kept | environment, timeout=60)


@pytest.fixture(scope="module")
def done() -> tuple[subprocess.CompletedProcess[bytes], float]:
    started = time.perf_counter()
    return tour(PYTHONUTF8="1"), time.perf_counter() - started


@pytest.fixture(scope="module")
def said(done: tuple[subprocess.CompletedProcess[bytes], float]) -> str:
    return done[0].stdout.decode("utf-8")


def test_ends_well_quietly_and_soon(done: tuple[subprocess.CompletedProcess[bytes], float]) -> None:
    run, seconds = done
    assert (run.returncode, run.stderr) == (0, b"")
    assert seconds < SECONDS


def test_names_its_data_and_version(said: str) -> None:
    assert f"opsmetrics {om.__version__}" in said
    assert "69,659 purchases of 23,570 customers" in said


@pytest.mark.parametrize("name", [name for name, _ in FAMILIES])
def test_has_a_section_for_each_family(name: str, said: str) -> None:
    number = [name for name, _ in FAMILIES].index(name) + 1
    assert f"\n{number}. {name}\n" in said


def test_shows_the_most_valuable_customers_and_how_well_they_were_told(said: str) -> None:
    section = said[said.index("\n4. Customer lifetime value\n") :]
    best = om.clv(om.load_cdnow(), customer="customer", time="date", amount="amount", model="mbg_nbd").table.nlargest(10, "value")
    assert all(f"\n  {customer} " in section for customer in best["customer"])
    for words in ("held out 273 days", "same rate", "chosen_by MBG/NBD has the highest log-likelihood", "95% intervals: of the mean"):
        assert words in section


def test_shows_the_segments_and_the_eight_classes(said: str) -> None:
    for segment in (*om.SegmentMap.rf10().names, *om.SegmentMap.cn8(labels="zh").names):
        assert segment in said
    assert "RFM 八分类" in said
    assert "champions" in said


def test_decides_an_experiment_and_catches_a_split_that_was_not_as_planned(said: str) -> None:
    section = said[said.index("\n5. A/B tests\n") :]
    units = om.make_experiment(60_000, rng=2)
    lift = om.ab_test(units, variant="variant", metrics="converted", control="A").table["lift"][0]
    assert f"{lift:+.1%}" in section
    assert section.index("sample ratio as expected") < section.index("SAMPLE RATIO MISMATCH (p < 0.0001): do not read these numbers.")
    last = section[section.index("Look 1:") :]
    assert "allows for stopping early" in last
    assert "Plan: " in last
    assert "Duration: " in last


def test_decides_the_e_mail_test_where_its_table_is() -> None:
    """Without pyarrow, which the tour does not install."""
    code = "import sys; sys.modules['pyarrow'] = None; from opsmetrics.__main__ import main; sys.exit(main(sys.argv[1]))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(data("hillstrom.parquet"))], capture_output=True, check=False, timeout=60,
        env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, b"")
    section = run.stdout.decode("utf-8").partition("Hillstrom's e-mails")[2]
    for words in ("+118.8%", "SAMPLE RATIO MISMATCH", "Look 2: Mens E-Mail has z = 3.44", "the test stops beyond 3.36"):
        assert words in section


def test_shows_who_moved(said: str) -> None:
    assert "Transitions: share of each source (row) by target (column)" in said
    assert "stayed rate 49.2%" in " ".join(said.split())


def test_tells_the_numbers_of_the_library(said: str) -> None:
    """What is printed is what the calls return, not a text that was written once."""
    purchases = om.load_cdnow()
    report = om.rfm(purchases, customer="customer", time="date", amount="amount", as_of="1997-12-31", frequency="days")
    assert str(report) in said


def test_shows_the_funnel_and_who_leaves_it(said: str) -> None:
    """The second purchases of CDNOW, counted here by hand, and the answers of a generated shop."""
    purchases = om.load_cdnow()
    days = purchases.groupby("customer")["date"].unique().map(sorted)
    again = int(days.map(lambda d: len(d) > 1 and (d[1] - d[0]).days <= 180).sum())
    assert f"second purchase{again:>11,}" in said
    for words in (
        "Funnel by channel, against direct",
        "The next event after cart, instead of checkout",
        "Time from checkout to pay",
        "忠诚",
    ):
        assert words in said


def test_says_whether_new_or_old_customers_were_lost_and_who_moved(said: str) -> None:
    """The states of CDNOW's customers, counted here by hand, and the answers that follow from them."""
    purchases = om.load_cdnow()
    quarters = purchases.assign(quarter=purchases["date"].dt.to_period("Q")).groupby("quarter")["customer"].unique().map(set)
    kept, gone = len(quarters.iloc[-1] & quarters.iloc[-2]), len(quarters.iloc[-2] - quarters.iloc[-1])
    line = next(row for row in said.splitlines() if row.strip().startswith("1998-04-01"))
    assert {f"{kept:,}", f"{gone:,}", f"{len(quarters.iloc[-1]):,}"} <= set(line.split())
    for words in (
        "Retention: 3 cohorts",
        "repurchase rate (customers)",
        "within 90 days",
        "Stages of the life cycle, fitted",
        "won back rate",
    ):
        assert words in said
    assert "A-I-P-L flow: what became of each stage" in said


def test_answers_for_the_order_lines_of_online_retail(online_retail: pd.DataFrame) -> None:
    """As `make demo` shows it where the table is at hand: the customers of the last quarter, counted here by hand."""
    run = subprocess.run(
        [sys.executable, "-m", "opsmetrics", str(data("online_retail.parquet"))], capture_output=True, check=False, timeout=60
    )
    assert run.returncode == 0
    said = run.stdout.decode("utf-8").partition("Online Retail\n")[2]
    totals = online_retail.groupby(["InvoiceNo", "CustomerID"], as_index=False).agg(amount=("amount", "sum"), day=("InvoiceDate", "min"))
    last = totals[(totals["amount"] >= 0) & (totals["day"] >= "2011-10-01")]["CustomerID"].nunique()
    line = next(row for row in said.splitlines() if row.strip().startswith("2011-10-01"))
    assert line.split()[1] == f"{last:,}"
    assert line.rstrip().endswith("not over")
    assert "won back rate" in said
    # A year is too short to know when its best customers are lost, so their churn is not told as zero.
    assert "The history is too short to tell when a customer in maturity is lost" in said
    assert "top lost" not in said


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "gbk"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
    ids=lambda environment: "-".join(f"{k}={v}" for k, v in environment.items()),
)
def test_speaks_to_any_terminal(environment: dict[str, str]) -> None:
    """A C locale, a Chinese console, and the output of a Windows machine sent to a file."""
    run = tour(**environment)
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"champions" in run.stdout


def test_without_lifetimes_says_what_to_install(tmp_path: Path) -> None:
    """A sitecustomize hides the distribution, so that the tour runs as where it was never installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "found = m.distribution\n"
        "def distribution(name):\n"
        "    if name == 'lifetimes':\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.distribution = distribution\n",
        encoding="utf-8",
    )
    run = tour(PYTHONPATH=str(tmp_path))
    said = run.stderr.decode()
    assert run.returncode == 1
    assert run.stdout == b""
    assert said.startswith("The tour needs its data: the CDNOW purchases come with the lifetimes distribution, which is not installed;")
    assert said.rstrip().endswith('run pip install "opsmetrics[lifetimes]".')
    assert "Traceback" not in said


def test_the_reader_may_leave_early() -> None:
    """As in "| head": no traceback."""
    run = subprocess.Popen([sys.executable, "-m", "opsmetrics"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.read(10)
    run.stdout.close()
    assert run.stderr.read() == b""
    run.wait()
    run.stderr.close()
