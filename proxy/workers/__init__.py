"""Several processes that serve one port together, and the one that watches them.

`supervisor` opens the sockets, keeps a worker in every `slot`, and drains them; `child` is its view of one process;
`worker` is that process. `channel` is the line between the two. `restarts` says when a dead worker starts again.
`admin` is the admin side of all of them, which hands what it cannot answer itself to a worker (`forward`).
"""
