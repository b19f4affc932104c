"""What each of Kafka's errors means for a batch that was on its way: one table, with the reason for each row.

Three outcomes exist: *not written* (a repeat is safe), *unknown* (a repeat may duplicate), and written. An error
that the client library retries by itself (`retriable`) reaches us only when it gave up, after an attempt whose
outcome nobody knows: those have no row, and no row means unknown.

A refusal also breaks the producer's sequence for its partition, for good: whoever is refused once goes on with a new
producer (`kafka/producer.py`), record by record (`produce/queue.py`), so that only the guilty one fails.
"""

from dataclasses import dataclass

from aiokafka import errors as kafka

from proxy.errors import (
    FieldInvalid,
    KafkaForbids,
    OutcomeUnknown,
    ProxyError,
    RecordTooLarge,
    RefusedByKafka,
    TopicMissing,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is raised for one of Kafka's errors; `reason` is for the reader of this table and for the client."""

    raises: type[ProxyError]
    reason: str


# The broker looked at the batch before it appended anything, and said no to all of it.
REFUSED: dict[type[BaseException], Meaning] = {
    kafka.MessageSizeTooLargeError: Meaning(RecordTooLarge, "it is above the topic's max.message.bytes"),
    kafka.RecordListTooLargeError: Meaning(RecordTooLarge, "it is larger than a log segment"),
    kafka.InvalidTimestampError: Meaning(FieldInvalid, "its timestamp lies outside what the topic takes"),
    kafka.CorruptRecordException: Meaning(
        RefusedByKafka, "its checksum did not fit, or it has no key and the topic is compacted"
    ),
    kafka.InvalidTopicError: Meaning(TopicMissing, "the topic's name is not one Kafka takes"),
    kafka.UnknownTopicOrPartitionError: Meaning(TopicMissing, "the topic was deleted while the record waited"),
    kafka.TopicAuthorizationFailedError: Meaning(KafkaForbids, "the bridge may not write to it"),
    kafka.ClusterAuthorizationFailedError: Meaning(KafkaForbids, "the bridge may not write idempotently"),
    kafka.NotEnoughReplicasError: Meaning(RefusedByKafka, "fewer replicas are in sync than min.insync.replicas says"),
    kafka.InvalidRequiredAcksError: Meaning(RefusedByKafka, "the broker does not take acks=all"),
    kafka.PolicyViolationError: Meaning(RefusedByKafka, "a policy of the cluster forbids it"),
    kafka.UnsupportedForMessageFormatError: Meaning(RefusedByKafka, "the topic keeps an old record format"),
    # INVALID_RECORD (87) and whatever else has no class in aiokafka.
    kafka.UnknownError: Meaning(RefusedByKafka, "the broker found it invalid"),
    # The producer was not taken, and so its batch was not appended.
    kafka.OutOfOrderSequenceNumber: Meaning(RefusedByKafka, "an earlier batch of the partition is missing"),
    kafka.InvalidProducerEpoch: Meaning(RefusedByKafka, "a newer producer took the identity"),
    kafka.ProducerFenced: Meaning(RefusedByKafka, "a newer producer took the identity"),
    kafka.UnknownProducerId: Meaning(RefusedByKafka, "the broker has forgotten the producer"),
    kafka.InvalidProducerIdMapping: Meaning(RefusedByKafka, "the broker has forgotten the producer"),
}


def outcome(error: BaseException, topic: str, *, attempts: int) -> ProxyError:
    """The ProxyError for an error of a batch.

    `attempts`: how often it was sent. After more than one even a refusal does not prove that nothing was written: the
    answer to an earlier attempt may have been lost.
    """
    meaning = REFUSED.get(type(error))
    if meaning is None or attempts > 1:
        return OutcomeUnknown(
            f"Kafka did not say whether the record for topic {topic!r} was written. Sending it again may duplicate it."
        )
    return meaning.raises(f"Kafka refused the record for topic {topic!r}: {meaning.reason}. Nothing was written.")
