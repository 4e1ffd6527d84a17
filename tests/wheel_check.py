"""Build the wheel, look inside it, and use it in an empty environment: what a user gets from the package index is what was tested.

Run by ``make wheel``. It needs the package index, and nothing of this checkout but what is built.
"""

from __future__ import annotations

import email.message
import email.parser
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NAME = PROJECT["name"]

USE = """
import pathlib, sys
import opsmetrics as om
assert pathlib.Path(om.__file__).is_relative_to(sys.prefix), om.__file__
import pandas as pd
orders = pd.DataFrame({
    "uid": ["ann", "ann", "bo", "cy"],
    "paid_at": pd.to_datetime(["2026-01-02", "2026-01-20", "2026-01-05", "2025-06-01"]),
    "amount": [30.0, 20.0, 100.0, 5.0],
})
report = om.rfm(orders, customer="uid", time="paid_at", amount="amount", as_of="2026-01-31", bins=2,
                segment_map=om.SegmentMap.cn8(labels="en"))
assert report.table["recency"].tolist() == [11, 26, 244], report.table
assert report.segments.table["revenue"].sum() == 155.0, report.segments.table
try:
    report.plot()
except ImportError as error:
    assert "opsmetrics[plot]" in str(error), error
else:
    raise AssertionError("matplotlib is here, so this environment is not empty")
print(om.__version__)
"""


class WheelError(Exception):
    """What is wrong with the wheel, as a sentence."""


def main() -> int:
    """All checks; 0 where they hold."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel, sdist = build(Path(folder, "dist"))
            check_files(wheel)
            check_sdist(sdist)
            check_metadata(wheel)
            check_use(wheel, Path(folder, "empty"))
    except WheelError as error:
        print(f"wheel: {error}", file=sys.stderr)
        return 1
    print("wheel: all of it holds")
    return 0


def demand(holds: object, sentence: str) -> None:
    """Stop with the sentence unless something holds."""
    if not holds:
        raise WheelError(sentence)


def run(*command: str | Path, cwd: Path = ROOT, expected: int = 0) -> subprocess.CompletedProcess[str]:
    """A command that must end as expected."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    demand(done.returncode == expected, f"{Path(command[0]).name} ended with {done.returncode}, not {expected}:\n{said}")
    return done


def build(dist: Path) -> tuple[Path, Path]:
    """The sdist from the checkout, and the wheel from the sdist."""
    run(sys.executable, "-m", "build", "--outdir", dist)
    found = sorted(path.name for path in dist.iterdir())
    expected = [f"{NAME}-{PROJECT['version']}-py3-none-any.whl", f"{NAME}-{PROJECT['version']}.tar.gz"]
    demand(found == expected, f"the build made {found} instead of {expected}.")
    print(f"wheel: built {' and '.join(found)}")
    return dist / expected[0], dist / expected[1]


def check_files(wheel: Path) -> None:
    """The package as it is in the checkout, its metadata and its licence; nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    source = {
        path.relative_to(ROOT / "src").as_posix(): path.read_bytes()
        for path in (ROOT / "src" / NAME).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    demand(f"{NAME}/py.typed" in source, "py.typed is missing: type checkers would ignore the annotations.")
    info = f"{NAME}-{PROJECT['version']}.dist-info"
    about = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    demand(set(found) == set(source) | about, f"the wheel differs from the package in {sorted(set(found) ^ (set(source) | about))}.")
    changed = [name for name, content in source.items() if found[name] != content]
    demand(not changed, f"the wheel holds other versions of {changed}.")
    licence = found[f"{info}/licenses/LICENSE"]
    demand(licence == (ROOT / "LICENSE").read_bytes(), "the licence in the wheel is not that of the checkout.")
    print(f"wheel: holds the {len(source)} files of the package, its metadata and its licence")


def check_sdist(sdist: Path) -> None:
    """What is needed to build and to test, and nothing that a machine left behind."""
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", f"src/{NAME}/__init__.py", "tests/conftest.py"}
    demand(needed <= found, f"the sdist lacks {sorted(needed - found)}.")
    left = sorted(name for name in found if re.search(r"(^|/)(\.venv|\.git|__pycache__|site|dist|\.[a-z]+_cache|\.hypothesis)(/|$)", name))
    demand(not left, f"the sdist holds what does not belong to it: {left[:5]}.")
    print(f"wheel: the sdist holds {len(found)} files")


def check_metadata(wheel: Path) -> None:
    """What the package index will show and what installers will act on."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{NAME}-{PROJECT['version']}.dist-info/METADATA").decode("utf-8")
    told: email.message.Message = email.parser.Parser().parsestr(text)
    for key, value in {
        "Name": NAME,
        "Version": PROJECT["version"],
        "Requires-Python": PROJECT["requires-python"],
        "License-Expression": PROJECT["license"],
        "Description-Content-Type": "text/markdown",
    }.items():
        demand(told[key] == value, f"{key} is {told[key]!r}, not {value!r}.")
    extras = set(told.get_all("Provides-Extra", []))
    demand(extras == set(PROJECT["optional-dependencies"]), f"the extras are {sorted(extras)}.")
    required = {re.split(r"[\s<>=~!;\[]", line)[0] for line in told.get_all("Requires-Dist", []) if "extra ==" not in line}
    declared = {re.split(r"[\s<>=~!;\[]", line)[0] for line in PROJECT["dependencies"]}
    demand(required == declared, f"a plain install brings {sorted(required)}, not {sorted(declared)}.")
    readme = (ROOT / "README.md").read_text("utf-8").strip()
    demand(str(told.get_payload()).strip() == readme, "the description is not the README.")
    print(f"wheel: metadata of {told['Name']} {told['Version']}, extras {', '.join(sorted(extras))}")


def check_use(wheel: Path, empty: Path) -> None:
    """Installed alone, used from elsewhere: no optional library is needed for the core, and each missing one is named."""
    run(sys.executable, "-m", "venv", empty)
    python = empty / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt", wheel)
    run(python, "-m", "pip", "--disable-pip-version-check", "check")
    used = run(python, "-I", "-W", "error", "-c", USE, cwd=empty)
    demand(used.stdout.strip() == PROJECT["version"], f"__version__ is {used.stdout.strip()!r}, not {PROJECT['version']!r}.")
    demand(not used.stderr, f"using it says on stderr: {used.stderr}")
    print("wheel: scores customers in an empty environment, without a warning")
    tour = run(python, "-I", "-m", NAME, cwd=empty, expected=1)
    demand("lifetimes" in tour.stderr and 'pip install "opsmetrics[lifetimes]"' in tour.stderr, f"the tour says: {tour.stderr}")
    demand("Traceback" not in tour.stderr and len(tour.stderr.splitlines()) == 1, f"the tour does not end in a sentence: {tour.stderr}")
    print("wheel: the tour ends in a sentence where its data is not installed")


if __name__ == "__main__":
    sys.exit(main())
