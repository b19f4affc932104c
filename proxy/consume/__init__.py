"""Reading: for a group (leases, acknowledgements, commits) and without one (positions, one shared reader).

| | |
|---|---|
| `feeds/` | without a group: a ring, catch-up behind it, positions, filters |
| `groups/` | a group: its owner's side, its readers and streams, commits, control |
| `partition/` | what is known of one partition of a group: what is out, accepted, held back. Pure |
| `peering/` | records lent to, and borrowed from, owners at other workers |
| `dead/` | dead letters |
"""
