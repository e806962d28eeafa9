"""`make deb`: the agents as one Debian package, with all that they need besides Debian's own Python.

Debian 12 has older starlette, uvicorn and pyroute2 than we work with, and no msgspec at all; so the libraries travel
along, the very files that .venv has by the hashes of requirements.lock. A virtual environment would bring its own paths
and a pip; a folder on sys.path is enough. What is compiled in them ties the package to an architecture and a Python.
"""

from __future__ import annotations

import compileall
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from packaging.requirements import Requirement

from host_agents.store.whole_file import whole_file
from tools import pages

ROOT = Path(__file__).parents[2]
DEBIAN = Path(__file__).with_name("debian")
_NOT_TAKEN = shutil.ignore_patterns("__pycache__", "*.pyc", "*.md", "*.c", "*.h", "*.lua")
_SYSTEMD = ROOT / "host_agents" / "systemd"
_PAGES = ("configuration.md", "datapath.md", "deploy.md", "deploy-foreign-agent.md", "metrics.md", "operating.md")


def main() -> int:
    """Print the path of the package that was made."""
    version, stage = distribution("entourage").version, ROOT / "build" / "deb"
    shutil.rmtree(stage, ignore_errors=True)
    _stage(stage, version)
    architecture = _said("dpkg", "--print-architecture")
    package = ROOT / "build" / f"entourage_{version}_{architecture}.deb"
    _control(stage, version, architecture)
    # --root-owner-group: whoever builds, root owns. No compression beyond gzip: seconds matter more than kilobytes.
    with whole_file(package) as beside:
        build = ["dpkg-deb", "-Zgzip", "--root-owner-group", "--build"]
        subprocess.run([*build, stage, beside], check=True, stdout=subprocess.DEVNULL)
    print(package.relative_to(ROOT))
    return 0


def _stage(stage: Path, version: str) -> None:
    """The tree as it will lie on the router."""
    library = stage / "usr/lib/entourage"
    for name in ("host_agents", "tools", "firmware"):
        shutil.copytree(ROOT / name, library / name, ignore=_NOT_TAKEN)
    for one in _needed("entourage", set()):
        _copy(one, library)
    about = library / f"entourage-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: entourage\nVersion: {version}\n")
    compileall.compile_dir(library, stripdir=str(stage), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    _put(DEBIAN / "entourage", stage / "usr/bin/entourage", 0o755)
    for unit in sorted(_SYSTEMD.glob("*.service")):
        _put(unit, stage / "usr/lib/systemd/system" / unit.name)
    for example in sorted(DEBIAN.glob("*.toml.example")):
        _put(example, stage / "etc/entourage" / example.name, 0o600)
    for page in _PAGES:
        _put(ROOT / "docs" / page, stage / "usr/share/doc/entourage" / page)
    pages.write(stage / "usr/share")
    zsh = stage / "usr/share/zsh"
    (zsh / "site-functions").rename(zsh / "vendor-completions")  # where Debian's zsh looks
    _put(ROOT / "LICENSE", stage / "usr/share/doc/entourage/copyright")


def _control(stage: Path, version: str, architecture: str) -> None:
    """What dpkg reads: who we are, which files are the administrator's, what to do before and after."""
    this, following = (f"3.{sys.version_info.minor + more}" for more in (0, 1))
    fields = {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "PYTHON": f"python3 (>= {this}~), python3 (<< {following}~)",
        "SIZE": str(sum(one.stat().st_size for one in stage.rglob("*") if one.is_file()) // 1024),
    }
    text = re.sub(r"@(\w+)@", lambda found: fields[found[1]], (DEBIAN / "control").read_text())
    folder = stage / "DEBIAN"
    folder.mkdir()
    (folder / "control").write_text(text)
    conffiles = [f"/{one.relative_to(stage)}\n" for one in sorted((stage / "etc").rglob("*")) if one.is_file()]
    (folder / "conffiles").write_text("".join(conffiles))
    for script in ("postinst", "prerm", "postrm"):
        _put(DEBIAN / script, folder / script, 0o755)


def _needed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """What `name` requires here, and what that requires, each once."""
    for requirement in distribution(name).requires or ():
        found = re.match(r"[\w.-]+", requirement)
        assert found is not None
        other = found[0].lower()
        # A marker speaks of an extra, of Windows or of an older Python; what is not installed was not asked for.
        if other in seen or "extra ==" in requirement or not _applies(requirement):
            continue
        seen.add(other)
        yield distribution(other)
        yield from _needed(other, seen)


def _applies(requirement: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def _copy(library: Distribution, into: Path) -> None:
    """Its modules; what it would put elsewhere (commands, manual pages) stays behind."""
    for file in library.files or ():
        if file.parts[0] != ".." and "__pycache__" not in file.parts:
            _put(Path(str(file.locate())), into / file)


def _put(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
