"""`up`, `web` and `watchdog`: their options; what they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer


def up(
    config: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Directory of the rules; else STL_CONFIG_DIR.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the embedded server keeps its data.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="Port of the web process; else PORT, else 8000."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Also send sample leads with SLAs of seconds.")
    ] = False,
) -> int:
    """Run everything on this machine, in this terminal: an embedded server unless REDIS_URL is set, and every process."""
    from speed_to_lead.cli import up as everything  # noqa: PLC0415 - slow to import

    return everything.up(config, data, port, demo=demo)


def web() -> int:
    """Run the web process: hooks, API, health."""
    from speed_to_lead.cli import serve  # noqa: PLC0415 - slow to import

    return serve.web()


def watchdog() -> int:
    """Run the watchdog: tells the fallback destination when a part stops working."""
    from speed_to_lead.cli import serve  # noqa: PLC0415 - slow to import

    return serve.watchdog()
