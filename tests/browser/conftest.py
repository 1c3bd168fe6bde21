"""Chromium for the tests: the system's own, headless, with a fresh profile. Absent, they are skipped aloud."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def absent(words: str) -> None:
    """Skip, or fail where the environment promises a browser (as continuous integration does)."""
    if os.environ.get("EMS_NEEDS_CHROMIUM"):
        pytest.fail(f"EMS_NEEDS_CHROMIUM is set, but {words}")
    pytest.skip(f"NOT TESTED IN A BROWSER: {words}")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        absent("there is no Chromium; install the Debian package chromium")
    return str(found)


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.is_file():
        absent("axe-core is not there; run `make .stamps/browser`")
    return AXE.read_text(encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium_path: str) -> AsyncIterator[object]:
    # Imported here: the package is for developers, and its absence must not keep the others from being tested.
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS, timeout=100_000)
        yield running
        await running.close()
