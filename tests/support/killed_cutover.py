"""A process that starts cut-overs and kills each with SIGKILL at the side effect it is told.

Run as ``python -m tests.support.killed_cutover FOLDER PROD INTERMEDIARY KEEPER``; requests and
answers as in `tests.support.killed_agent`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from db_migration.cutover.cutover import Mode
from tests.support.deployment import Deployment
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import serve


def main() -> None:
    prod, intermediary, keeper = (PgServer(**json.loads(text)) for text in sys.argv[2:5])
    deployment = Deployment(prod, intermediary, keeper, Path(sys.argv[1]))
    serve(lambda mode: deployment.cut_over(Mode(mode)))


if __name__ == "__main__":
    main()
