"""One module for each thing that is measured: `measure(session)` returns rounds, as they go into `--json`."""
