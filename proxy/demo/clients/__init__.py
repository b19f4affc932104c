"""The demo's clients: each an ordinary HTTP client in a file of its own, to be copied.

None of them knows Kafka. `stores` only POST; the others read, each in one of the ways the bridge offers.
"""
