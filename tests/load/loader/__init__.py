"""The load generator: a process of its own, so that its work is not booked on the server or on the one who measures.

`python -m tests.load.loader JOB` does one job (a JSON object; see `__main__.py`) and prints one JSON object.
"""
