"""The training of `docs/tutorial-kto.md`: its command as it stands there, on a tiny model."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainers.conftest import TinyModel, make_export
from tests.tutorial import blocks
from thumbline_warehouse.urls import WarehouseUrl

if importlib.util.find_spec("trl") is None:
    pytest.skip("trl is not installed: make test-trainers", allow_module_level=True)

pytestmark = pytest.mark.trainers


def test_the_tutorials_training_trains(warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path) -> None:
    folder = make_export(warehouse, tmp_path, "kto", test=0.2).made.folder
    (tmp_path / "data").mkdir()
    folder.rename(tmp_path / "data" / "kto-1")
    (block,) = (block for block in blocks("tutorial-kto.md") if "trl_kto.py" in block.text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-ec", block.text],
        cwd=tmp_path,
        env=os.environ | {"MODEL": str(tiny_model.folder), "PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "eval_loss" in done.stdout
    assert (tmp_path / "trained" / "model.safetensors").exists()
