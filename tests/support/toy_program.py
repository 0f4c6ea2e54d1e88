"""The program of the toy package manager: lock, pack, upload and unpack plain files. It knows nothing of releasekit."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tarfile
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from email.parser import HeaderParser
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx


def main(verb: str, *words: str) -> int:
    """Run one command of the toy; return its exit code."""
    verbs = {
        "lock": write_lock,
        "print-lock": print_lock,
        "sbom": print_sbom,
        "build": build,
        "publish": publish,
        "resolve": resolve,
        "install": install,
    }
    return verbs[verb](*words) or 0


def read_project(directory: Path) -> dict[str, Any]:
    """Return the table [project] of the package in *directory*."""
    return tomllib.loads((directory / "pyproject.toml").read_text())["project"]


def lock_text(root: Path) -> str:
    """Return the versions of all members, a line each."""
    projects = [read_project(root / line) for line in (root / "members.txt").read_text().split()]
    return "".join(f"{project['name']} {project['version']}\n" for project in projects)


def write_lock(root: str, *_: str) -> None:
    (Path(root) / "toy.lock").write_text(lock_text(Path(root)))


def print_lock(root: str) -> None:
    sys.stdout.write(lock_text(Path(root)))


def print_sbom(root: str, _package: str) -> None:
    lines = (Path(root) / "toy.lock").read_text().splitlines()
    components = [
        {"type": "library", "name": name, "version": version}
        for name, version in map(str.split, lines)
    ]
    json.dump(
        {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}, sys.stdout
    )


def build(package: str, out: str, only: str, *_: str) -> None:
    """Pack the directory *package* as wheel and sdist, or *only* as one of them."""
    project = read_project(Path(package))
    stem = f"{project['name']}-{project['version']}"
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", project["name"]),
        ("Version", project["version"]),
    ]
    fields += [("Requires-Dist", need) for need in project.get("dependencies", [])]
    metadata = "".join(f"{name}: {value}\n" for name, value in fields)
    module = f"{project['name']}.py"
    source = (Path(package) / module).read_bytes()
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    if only != "wheel":
        write_sdist(
            target / f"{stem}.tar.gz",
            stem,
            {
                "PKG-INFO": metadata.encode(),
                "pyproject.toml": (Path(package) / "pyproject.toml").read_bytes(),
                module: source,
            },
        )
    if only != "sdist":
        wheel = b"Wheel-Version: 1.0\nGenerator: toy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        info = f"{stem}.dist-info"
        write_wheel(
            target / f"{stem}-py3-none-any.whl",
            info,
            {
                module: source,
                f"{info}/METADATA": metadata.encode(),
                f"{info}/WHEEL": wheel,
            },
        )


def write_sdist(path: Path, top: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_wheel(path: Path, info: str, files: dict[str, bytes]) -> None:
    digests = {
        name: urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")
        for name, content in files.items()
    }
    rows = [f"{name},sha256={digests[name]},{len(files[name])}\n" for name in files]
    record = "".join([*rows, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def publish(publish_url: str, check_url: str, *files: str) -> int:
    """Upload *files* that the index does not list; print the answer to the first one that it does not take."""
    for path in map(Path, files):
        name, version = path.name.split("-")[:2]
        page = httpx.get(f"{check_url}/{name}/", headers={"Accept": "text/html"})
        if path.name in page.text:
            continue
        fields = {":action": "file_upload", "name": name, "version": version}
        answer = httpx.post(
            publish_url,
            data=fields,
            files={"content": (path.name, path.read_bytes())},
            auth=("__token__", os.environ["UV_PUBLISH_TOKEN"]),
        )
        if answer.is_error:
            sys.stdout.write(f"{answer.status_code} {answer.text}")
            return 1
    return 0


def find_wheel(requirement: str, links: str, index: str) -> bytes | None:
    """Return the wheel of "name==version" from a directory, or from the index; None if it is nowhere."""
    name, _, version = requirement.partition("==")
    stem = f"{name}-{version}" if version else f"{name}-"
    for directory in filter(None, links.split(":")):
        for path in Path(directory).glob(f"{stem}*.whl"):
            return path.read_bytes()
    page = httpx.get(f"{index}/{name}/", headers={"Accept": "text/html"})
    for address, file in re.findall(r'href="([^"#]*)[^"]*">([^<]*)<', page.text):
        if file.startswith(stem) and file.endswith(".whl"):
            return httpx.get(str(page.url.join(address))).content
    return None


def collect(requirements: tuple[str, ...], links: str, index: str) -> dict[str, bytes | None]:
    """Return the wheels of *requirements* and of all that they need; None for what is nowhere."""
    wheels: dict[str, bytes | None] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        if requirement in wheels:
            continue
        wheel = wheels[requirement] = find_wheel(requirement, links, index)
        if wheel:
            with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
                (path,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
                text = archive.read(path).decode()
            waiting += HeaderParser().parsestr(text).get_all("Requires-Dist", [])
    return wheels


def resolve(links: str, index: str, *requirements: str) -> int:
    """Print what is nowhere."""
    missing = [name for name, wheel in collect(requirements, links, index).items() if not wheel]
    sys.stdout.write("".join(f"{name} is nowhere\n" for name in missing))
    return 1 if missing else 0


def install(venv: str, links: str, index: str, *requirements: str) -> int:
    """Unpack all wheels into the environment *venv*."""
    (packages,) = Path(venv, "lib").glob("python*/site-packages")
    for name, wheel in collect(requirements, links, index).items():
        if wheel is None:
            sys.stderr.write(f"{name} is nowhere\n")
            return 1
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            for path in archive.namelist():
                target = packages / path
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(archive.read(path))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
