"""Each pytest worker computes on one thread, so that workers share the cores instead of fighting for them."""

import os

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread_each() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests leave the user's cache alone; within a session they share one."""
    monkeypatch.setenv("LUNGSCREEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
