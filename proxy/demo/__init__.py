"""`stepbridge demo`: the retail scenario on an embedded broker, with a real bridge and ordinary HTTP clients.

Reading order: `retail.py` (what is sold, who reads what), `clients/` (one file each, to be copied), `live.py` and
`check.py` (the two ways to play), `journal.py` and `verdict.py` (how `--check` judges). `migration/` is another play:
a route on its way from an old service to Kafka and back.
"""

import sys

EXTRA = ("aiohttp", "confluent_kafka")


def run(
    *,
    migrate: bool = False,
    check: bool = False,
    bootstrap: str | None = None,
    port: int = 8080,
    admin_port: int = 9090,
    page_port: int = 8088,
    per_second: float = 40.0,
) -> int:
    """Play the scenario until Ctrl-C, or once with `check`; or the migration, with `migrate`. Returns the exit status.

    `bootstrap` names a Kafka to use instead of the embedded broker. The ports are wishes: one that is taken is
    replaced by a free one. 0: all went well, or Ctrl-C ended it; 1: the check failed, or the demo could not go on;
    130: Ctrl-C ended a check, which proves nothing.
    """
    try:
        from proxy.demo.main import main  # late: the child processes import this package, too, but not all of it
        from proxy.demo.stage import Options
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise

        sys.stderr.write(f"The demo needs {error.name}, which comes with: pip install 'stepbridge[embedded]'\n")
        return 1
    options = Options(bootstrap, port, admin_port, page_port, per_second)
    return main(options, check_only=check, migrate=migrate)
