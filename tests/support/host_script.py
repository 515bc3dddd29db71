"""The host-side script as a file, as Pulumi leaves it on a host."""

from pathlib import Path

from components.host import hostctl_script


def laid(folder: Path) -> str:
    """Write it into the folder; return its path."""
    path = folder / "hostctl"
    text = hostctl_script()
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return str(path)
