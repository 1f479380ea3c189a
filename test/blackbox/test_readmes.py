"""The README of each folder of sources names every module of it, and none that is not there."""

import fnmatch
import re

import pytest

from proxy_process import REPOSITORY


def named(page):
    """The words in code style of every table row's first cell that may be a module's name."""
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    words = [re.sub(r"\.[ch]$", "", word) for row in rows for word in re.findall(r"`([^`]+)`", row)]
    return [word for word in words if re.fullmatch(r"[a-z0-9_*]+", word)]


@pytest.mark.parametrize("folder", ["filter", "proxy", "tls"])
def test_every_module_and_no_other(folder):
    modules = {path.stem for path in (REPOSITORY / folder).glob("*.[ch]")}
    patterns = named((REPOSITORY / folder / "README.md").read_text())
    assert len(modules) > 20
    assert not [module for module in modules
                if not any(fnmatch.fnmatch(module, pattern) for pattern in patterns)]
    assert not [pattern for pattern in patterns if not fnmatch.filter(modules, pattern)]
