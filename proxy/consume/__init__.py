"""Reading: for a group (leases, acknowledgements, commits) and without one (positions, one shared reader).

| | |
|---|---|
| `session.py` | for a group: what clients of this process ask for, from its own partitions and from peers |
| `feeds/` | without a group: a ring, catch-up behind it, positions, filters |
| `groups/` | a group: its owner's side, its streams and acks, commits, control |
| `partition/` | what is known of one partition of a group: what is out, accepted, held back. Pure |
| `peering/` | records lent to, and borrowed from, owners at other workers |
| `dead/` | dead letters |
"""
