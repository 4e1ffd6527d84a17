"""The notebooks: text and notebook in step, nothing stored that a run makes, and every cell runs with warnings as errors."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.support import SHARED

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))
SECONDS_PER_CELL = 120
STAND_IN = "a stand-in"
"""What a notebook prints when it makes up its data, because the real file is absent."""

# Run before the first cell. What IPython, its kernel and the event loop say of each other is not the notebook's doing.
STRICT = """
import warnings as _warnings
_warnings.simplefilter("error")
for _module in ("IPython", "ipykernel", "jupyter_client", "traitlets", "zmq", "tornado", "asyncio"):
    _warnings.filterwarnings("ignore", module=rf"{_module}(\\.|$)")
"""

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the notebooks are not part of the source distribution")


def read(path: Path) -> nbformat.NotebookNode:
    return jupytext.read(path) if path.suffix == ".py" else nbformat.read(path, as_version=4)


@pytest.fixture(params=TEXTS, ids=lambda path: path.stem)
def text(request: pytest.FixtureRequest) -> Path:
    """Each notebook's text, which is the source of truth."""
    return request.param


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel of this very interpreter, installed nowhere but in a temporary folder."""
    home = tmp_path / "jupyter"
    spec = home / "kernels" / "this-python"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "this Python", "language": "python"}), encoding="utf-8")
    for name, value in {
        "JUPYTER_PATH": home,
        "JUPYTER_DATA_DIR": home,
        "JUPYTER_CONFIG_DIR": tmp_path / "config",
        "JUPYTER_RUNTIME_DIR": tmp_path / "runtime",
        "IPYTHONDIR": tmp_path / "ipython",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    for name in ("MPLBACKEND", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    return "this-python"


def execute(notebook: nbformat.NotebookNode, kernel: str, folder: Path) -> nbformat.NotebookNode:
    """Run all cells, in a folder that has nothing to do with the repository."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the Jupyter libraries on this side; the kernel has its own filters
        from nbclient import NotebookClient

        notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
        client = NotebookClient(
            notebook, kernel_name=kernel, timeout=SECONDS_PER_CELL, startup_timeout=60, resources={"metadata": {"path": str(folder)}}
        )
        return client.execute()


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(done: list[nbformat.NotebookNode]) -> str:
    return "".join(output.text for output in done if output.output_type == "stream")


def test_there_are_notebooks_and_each_has_its_text() -> None:
    assert TEXTS
    assert [path.stem for path in sorted(FOLDER.glob("*.ipynb"))] == [path.stem for path in TEXTS]


def test_text_and_notebook_are_in_step(text: Path) -> None:
    of_text, of_notebook = ([(cell.cell_type, cell.source) for cell in read(path).cells] for path in (text, text.with_suffix(".ipynb")))
    assert of_notebook == of_text, f"run: jupytext --sync {text.relative_to(FOLDER.parent)}"


def test_nothing_of_a_run_is_stored(text: Path) -> None:
    for cell in read(text.with_suffix(".ipynb")).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert "execution" not in cell.metadata


def test_the_notebook_is_valid(text: Path) -> None:
    nbformat.validate(read(text.with_suffix(".ipynb")))


def test_runs_with_what_is_at_hand(text: Path, kernel: str, tmp_path: Path) -> None:
    done = outputs(execute(read(text), kernel, tmp_path))
    assert any("image/png" in output.get("data", {}) for output in done)
    assert [output.text for output in done if output.get("name") == "stderr"] == []
    if (SHARED / "data").exists():
        assert STAND_IN not in printed(done)


def test_runs_where_the_data_is_not_at_hand(text: Path, kernel: str, tmp_path: Path) -> None:
    if not (SHARED / "data").exists():
        pytest.skip("the shared data folder is not beside this checkout, so this is what the test above did")
    notebook = read(text)
    reading = [cell for cell in notebook.cells if cell.cell_type == "code" and ".parquet" in cell.source]
    if not reading:
        pytest.skip("the notebook reads no file")
    for cell in reading:
        cell.source = cell.source.replace(".parquet", ".absent")
    assert STAND_IN in printed(outputs(execute(notebook, kernel, tmp_path)))


def test_the_runner_uses_this_interpreter_and_lets_no_warning_through(kernel: str, tmp_path: Path) -> None:
    """Were it otherwise, the tests above would say little."""
    from nbclient.exceptions import CellExecutionError

    cells = ["import sys, warnings; print(sys.executable)", "warnings.warn('mind this')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    with pytest.raises(CellExecutionError, match="mind this"):
        execute(notebook, kernel, tmp_path)
    said = Path(notebook.cells[1].outputs[0].text.strip())
    assert said.samefile(sys.executable)
