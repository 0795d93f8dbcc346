"""What many commands are told: the folder they work in, and the business day they are about."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="HANSA_HOME",
        help="Folder of the embedded database, keys and bank files. HANSA_DATABASE_URL uses a server instead.",
    ),
]
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Business day, as 2026-11-17.")]
DEFAULT_HOME = Path(".hansa")
