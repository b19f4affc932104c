"""Where the floors meet: Protocols of few methods, each with one real implementation and scripted ones in tests.

Services (`produce/`, `consume/`) know engines (`kafka/`) only through these; fronts (`http/`, `admin/`) know
services through theirs. `app.py` hands in the real ones. All methods belong to one event loop.
"""
