"""Does the chance to return that `Stages.default().fit` gives happen? On real purchases, against what customers did afterwards.

The stages are fitted to what was known on a day, and each customer's chance to buy within the horizon is compared with whether he did. The
rule that is usual, dormant after the 80th and churned after the 90th percentile of observed gaps, is put beside it; and so is how well
customers are put in order, by the chance, by recency and orders alone, and by BG/NBD.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
from scipy import stats

import opsmetrics as om

RETAIL = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail.parquet"
BANDS = {"1": (1, 1), "2-3": (2, 3), "4+": (4, 10**9)}


def tables() -> dict[str, tuple[pd.DataFrame, list[tuple[str, int]]]]:
    """Purchases (customer, time), and on which day to look ahead how far."""
    cdnow = om.load_cdnow()[["customer", "date"]].rename(columns={"date": "time"})
    found = {"CDNOW": (cdnow, [("1997-09-30", 90), ("1997-09-30", 180), ("1997-12-31", 90), ("1997-12-31", 180)])}
    if RETAIL.exists():
        lines = pd.read_parquet(RETAIL)
        bought = lines[lines["CustomerID"].notna() & (lines["Quantity"] * lines["UnitPrice"] > 0)]
        once = bought.groupby("InvoiceNo").agg(customer=("CustomerID", "first"), time=("InvoiceDate", "min")).reset_index(drop=True)
        found["online_retail"] = (once.assign(customer=once["customer"].astype("int64")), [("2011-09-10", 90), ("2011-10-10", 60)])
    return found


def compared(purchases: pd.DataFrame, day: str, horizon: int) -> pd.DataFrame:
    """Per customer known on the day: band, chance, stage, the usual rule's label, and whether he bought within the horizon."""
    columns = {"customer": "customer", "time": "time"}
    known = purchases[purchases["time"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    later = purchases[purchases["time"] >= pd.Timestamp(day) + pd.Timedelta(days=1)]
    later = later[later["time"] < pd.Timestamp(day) + pd.Timedelta(days=1 + horizon)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # what the history and the model cannot tell is counted below
        fitted = om.Stages.default().fit(known, **columns, as_of=day, horizon=horizon)
        repeats = om.clv_summary(known, **columns, as_of=day)
        model = om.BetaGeo().fit(repeats)
        expected, alive = model.expected_purchases(horizon, repeats).table, model.p_alive(repeats).table
    summary = om.customer_summary(known.assign(amount=1.0), **columns, amount="amount", as_of=day)
    table = fitted.assign(summary).table.rename(columns={"return_probability": "chance"})
    gaps = known.sort_values("time").groupby("customer")["time"].diff().dt.days
    gaps, orders = gaps[gaps > 0], known.sort_values("time").groupby("customer").cumcount()
    table["band"], table["churned by P90"] = "", False
    for name, (low, high) in BANDS.items():
        own = table["orders"].between(low, high)
        table.loc[own, "band"] = name
        observed = gaps[orders.loc[gaps.index].between(low, high)]
        if len(observed):
            table.loc[own, "churned by P90"] = table["recency"] > observed.quantile(0.9)
    table["BG/NBD, expected purchases"] = expected["expected_purchases"].to_numpy()
    table["BG/NBD, P(alive)"] = alive["p_alive"].to_numpy()
    longest = table["band"].map(fitted.table.set_index("orders")["longest_known"]).fillna(-1)
    return table.assign(judged=table["recency"] <= longest, returned=table["customer"].isin(later["customer"]))


def area(score: pd.Series[float], returned: pd.Series[bool]) -> float:
    """How often one who returned stands above one who did not (the area under the ROC curve)."""
    return float(stats.mannwhitneyu(score[returned], score[~returned]).statistic / (returned.sum() * (~returned).sum()))


def line(name: str, chosen: pd.DataFrame, *, predicted: bool = True) -> float:
    """What was predicted for some customers, and what happened, with its Wilson interval; returns by how much it was missed."""
    if chosen.empty:
        print(f"    {name:<42} {0:>7,}")
        return 0.0
    found = om.funnel_from_counts({"all": len(chosen), "returned": int(chosen["returned"].sum())}).table.iloc[1]
    happened, said = chosen["returned"].mean(), chosen["chance"].mean()
    spoken = f"{said:.3f}" if predicted else ""
    print(
        f"    {name:<42} {len(chosen):>7,}   {spoken:>9}   {happened:.3f} [{found['conversion_low']:.3f}, {found['conversion_high']:.3f}]"
    )
    return abs(said - happened)


def main() -> bool:
    """Run and print; there is no target but the truth."""
    print("Return probability: what the fitted stages predicted, and what happened (means; intervals 95 %)")
    worst = 0.0
    for name, (purchases, looks) in tables().items():
        for day, horizon in looks:
            found = compared(purchases, day, horizon)
            print(f"  {name}, known on {day}, within {horizon} days: {len(found):,} customers")
            print(f"    {'':<42} {'number':>7}   {'predicted':>9}   happened")
            for band in BANDS:
                own = found[found["band"] == band]
                worst = max(worst, line(f"orders {band}", own[own["judged"]]))
                line(f"orders {band}, silent longer than is known", own[~own["judged"]])
            for stage in ("dormant", "churned"):
                line(f"called {stage}", found[found["stage"] == stage], predicted=False)
            for band in BANDS:
                usual = found[found["churned by P90"] & (found["band"] == band)]
                line(f"churned by P90 of observed gaps, orders {band}", usual, predicted=False)
            ranks = {"chance to return": found["chance"].fillna(0.0), "recency": -found["recency"], "orders": found["orders"]}
            ranks |= {name: found[name] for name in ("BG/NBD, expected purchases", "BG/NBD, P(alive)")}
            for by, score in ranks.items():
                print(f"    {f'order by {by}: area under ROC':<66} {area(score, found['returned']):.3f}")
    print(f"  the mean of a band that could be judged missed what happened by {worst:.3f} at most")
    return True


if __name__ == "__main__":
    main()
