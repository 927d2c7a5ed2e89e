"""What is known of the real stool samples, where they are at hand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data"


@pytest.mark.skipif(not (DATA / "reads").is_dir(), reason="the shared real reads are absent")
def test_known_facts_of_the_real_samples_hold(tmp_path):
    result = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/real/run.py"), "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "FAILS" not in result.stdout
    assert result.stdout.count("  holds  ") == 18
