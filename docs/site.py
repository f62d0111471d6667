"""A hook of MkDocs: links to files beside ``docs`` are good in the repository, and lead nowhere on the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """A page whose links out of ``docs`` are only their text; raises ``FileNotFoundError`` where one leads nowhere."""

    def within(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), link[2]))
        if not target.startswith("../"):
            return link[0]
        if not (Path(config["docs_dir"]) / target).exists():
            raise FileNotFoundError(f"{page.file.src_uri} links to {link[2]}, which is not there")
        return link[1]

    return _LINK.sub(within, markdown)
