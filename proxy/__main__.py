"""`python -m proxy` is `stepbridge`."""

from proxy.cli import main

main()
