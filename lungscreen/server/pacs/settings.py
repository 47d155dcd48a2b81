"""What `lungscreen.server.pacs` takes; the numbers stand in `conf/server_pacs.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

from omegaconf import MISSING

from runs.entry import UsageError

# Of an AE title (PS3.5 6.2).
AET = re.compile(r"[!-\[\]-~]{1,16}")
LEAST: dict[str, float] = {"stable_seconds": 0, "look_seconds": 0.05, "timeout_seconds": 1, "listen_port": 0}


@dataclass(frozen=True)
class Rules:
    """Which series of a study are analysed: of those that fit, the first ones by the order below.

    An original series before a derived one, one of a lung kernel before others, then the one with the most images.

    Attributes:
        series: most of a study.
        least_images: fewer are no chest CT.
        most_thickness_mm: thicker slices are left out.
        most_tilt_degrees: of the slices against the axial plane; more are left out (coronal, sagittal).
        derived: whether derived series are taken where there is no original one.
        lung_kernels: regular expressions, any of which the whole name of a lung kernel fits.
    """

    series: int = MISSING
    least_images: int = MISSING
    most_thickness_mm: float = MISSING
    most_tilt_degrees: float = MISSING
    derived: bool = MISSING
    lung_kernels: tuple[str, ...] = MISSING

    def __post_init__(self) -> None:
        for name in ("series", "least_images", "most_thickness_mm", "most_tilt_degrees"):
            if not getattr(self, name) > 0:
                raise UsageError(f"rules.{name}= must be above 0, got {getattr(self, name)}")
        for pattern in self.lung_kernels:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UsageError(f"rules.lung_kernels= holds '{pattern}', no regular expression: {error}") from None


@dataclass(frozen=True)
class PacsSettings:
    """What `lungscreen.server.pacs` takes.

    Attributes:
        folder: of what is under way; one process at a time.
        server: address of the server.
        token_file: file whose first line is a token of the server, or None.
        orthanc: address of an Orthanc whose studies are followed, or None.
        login_file: file with `user:password` for it, or None.
        backlog: whether the studies that Orthanc has at the first start are taken, too.
        aet: our AE title.
        listen_host, listen_port: where images may be sent to (C-STORE); port None: nowhere.
        callers: AE titles that may send; empty: any.
        back_aet, back_host, back_port: where results of images that were sent here go to (C-STORE).
        stable_seconds: nothing came for so long: a study is whole.
        look_seconds: between two looks at Orthanc and the server.
        timeout_seconds: most that one request may stand still.
        rules: which series.
    """

    folder: Path = MISSING
    server: str = MISSING
    token_file: Path | None = MISSING
    orthanc: str | None = MISSING
    login_file: Path | None = MISSING
    backlog: bool = MISSING
    aet: str = MISSING
    listen_host: str = MISSING
    listen_port: int | None = MISSING
    callers: tuple[str, ...] = MISSING
    back_aet: str | None = MISSING
    back_host: str = MISSING
    back_port: int | None = MISSING
    stable_seconds: float = MISSING
    look_seconds: float = MISSING
    timeout_seconds: float = MISSING
    rules: Rules = MISSING

    def __post_init__(self) -> None:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, least in LEAST.items():
            if values[name] is not None and not values[name] >= least:
                raise UsageError(f"{name}= must be at least {least:g}, got {values[name]}")
        for title in (self.aet, *self.callers, *([self.back_aet] if self.back_aet else [])):
            if not AET.fullmatch(title):
                raise UsageError(f"an AE title has 1 to 16 letters, none of them a blank or \\, got '{title}'")
        if self.orthanc is None and self.listen_port is None:
            raise UsageError("give orthanc=URL to follow an Orthanc, or listen_port= to be sent images, or both")
        if self.listen_port is not None and (self.back_aet is None or self.back_port is None):
            raise UsageError("listen_port= needs back_aet= and back_port=: where results go to")
