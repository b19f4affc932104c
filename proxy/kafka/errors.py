"""What each of Kafka's errors means for a record that was on its way: one table, with the reason for each row.

Three outcomes exist: *not written* (a repeat is safe), *unknown* (a repeat may duplicate), and written. An error
that the client library retries by itself (`retriable`) reaches us only when it gave up, after an attempt whose
outcome nobody knows.
"""

from dataclasses import dataclass

from aiokafka import errors as kafka

from proxy.errors import KafkaForbids, NotWritten, OutcomeUnknown, ProxyError, RecordTooLarge, TopicMissing


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is raised for one of Kafka's errors; `reason` is for the reader of this table and for the log."""

    raises: type[ProxyError]
    reason: str


# The broker checked the batch before it appended anything, and said no to all of it.
_REFUSED: dict[type[BaseException], Meaning] = {
    kafka.MessageSizeTooLargeError: Meaning(RecordTooLarge, "above the topic's max.message.bytes"),
    kafka.RecordListTooLargeError: Meaning(RecordTooLarge, "the batch is larger than a log segment"),
    kafka.CorruptRecordException: Meaning(NotWritten, "the checksum did not fit: damaged on its way"),
    kafka.InvalidTimestampError: Meaning(NotWritten, "the timestamp lies outside what the topic takes"),
    kafka.InvalidTopicError: Meaning(TopicMissing, "the topic's name is not one Kafka takes"),
    kafka.UnknownTopicOrPartitionError: Meaning(TopicMissing, "the topic was deleted while the batch waited"),
    kafka.TopicAuthorizationFailedError: Meaning(KafkaForbids, "the principal lacks WRITE on the topic"),
    kafka.ClusterAuthorizationFailedError: Meaning(KafkaForbids, "the principal lacks IDEMPOTENT_WRITE"),
    kafka.NotEnoughReplicasError: Meaning(NotWritten, "fewer in sync than min.insync.replicas; checked before append"),
    kafka.InvalidRequiredAcksError: Meaning(NotWritten, "the broker does not take acks=all"),
    kafka.PolicyViolationError: Meaning(NotWritten, "a policy of the cluster forbids it"),
    kafka.UnsupportedForMessageFormatError: Meaning(NotWritten, "the topic keeps an old record format"),
    # INVALID_RECORD (87) has no class in aiokafka: `UnknownError`. A null key on a compacted topic is its usual cause.
    kafka.UnknownError: Meaning(NotWritten, "a code the library does not know, most often INVALID_RECORD"),
    # The producer itself was not taken: its batch was not appended.
    kafka.OutOfOrderSequenceNumber: Meaning(NotWritten, "an earlier batch of the partition is missing"),
    kafka.InvalidProducerEpoch: Meaning(NotWritten, "a newer producer took the identity"),
    kafka.ProducerFenced: Meaning(NotWritten, "a newer producer took the identity"),
    kafka.UnknownProducerId: Meaning(NotWritten, "the broker has forgotten the producer"),
    kafka.ProducerClosed: Meaning(NotWritten, "the producer was closed before it took the batch"),
}


def outcome(error: BaseException, topic: str, *, retried: bool) -> ProxyError:
    """The ProxyError for an error of `send_batch`.

    `retried`: an earlier attempt had no answer, so that even a refusal now does not prove that nothing was written.
    """
    meaning = _REFUSED.get(type(error))
    if meaning is None or retried:
        return OutcomeUnknown(
            f"Kafka did not say whether the record for topic {topic!r} was written. Sending it again may duplicate it."
        )
    return meaning.raises(f"Kafka refused the record for topic {topic!r}: {meaning.reason}. Nothing was written.")
