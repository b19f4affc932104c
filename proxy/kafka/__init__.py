"""Kafka: the only room that imports aiokafka.

`connection.py` builds its clients, `topics.py` knows the cluster's topics, `producer.py` writes, `member.py` reads for
a group (`assignor.py` shares the partitions out), `tail.py` reads without one. `internals.py` has all that is known of
aiokafka's private parts.
"""
