"""What Kafka's errors mean for a record: the three outcomes, and which is which."""

import pytest
from aiokafka import errors as kafka

from proxy.errors import (
    FieldInvalid,
    KafkaForbids,
    NotNow,
    OutcomeUnknown,
    RecordTooLarge,
    RefusedByKafka,
    TopicMissing,
)
from proxy.kafka.errors import REFUSED, outcome

UNKNOWN = [
    kafka.KafkaTimeoutError,  # the client library gave up, after an attempt of which nothing is known
    kafka.RequestTimedOutError,
    kafka.NotLeaderForPartitionError,
    kafka.LeaderNotAvailableError,
    kafka.KafkaConnectionError,
    kafka.NotEnoughReplicasAfterAppendError,  # appended, as its name says
    kafka.ProducerClosed,
    kafka.KafkaError,  # whatever else
]


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (kafka.MessageSizeTooLargeError, RecordTooLarge),
        (kafka.RecordListTooLargeError, RecordTooLarge),
        (kafka.InvalidTimestampError, FieldInvalid),
        (kafka.UnknownTopicOrPartitionError, TopicMissing),
        (kafka.TopicAuthorizationFailedError, KafkaForbids),
        (kafka.NotEnoughReplicasError, RefusedByKafka),
        (kafka.CorruptRecordException, RefusedByKafka),
        (kafka.OutOfOrderSequenceNumber, RefusedByKafka),
        (kafka.ProducerFenced, RefusedByKafka),
        (kafka.InvalidProducerEpoch, RefusedByKafka),
        (kafka.UnknownError, RefusedByKafka),
    ],
)
def test_what_the_broker_refuses_before_it_writes_is_not_written(error: type[Exception], meant: type) -> None:
    told = outcome(error(), "retail.sales", attempts=1)
    assert type(told) is meant
    assert "'retail.sales'" in told.detail
    assert "Nothing was written" in told.detail


@pytest.mark.parametrize("error", UNKNOWN)
def test_what_is_not_known_to_be_refused_is_unknown(error: type[Exception]) -> None:
    """No row is the row for unknown: no error that nobody thought of is ever taken for a refusal."""
    assert error not in REFUSED
    assert type(outcome(error(), "retail.sales", attempts=1)) is OutcomeUnknown


@pytest.mark.parametrize("error", REFUSED)
def test_a_refusal_after_an_attempt_without_an_answer_proves_nothing(error: type[Exception]) -> None:
    """The answer to the first attempt was lost, and may have been a yes."""
    assert type(outcome(error(), "retail.sales", attempts=2)) is OutcomeUnknown


@pytest.mark.parametrize("error", REFUSED)
def test_what_is_not_written_says_so_by_its_status(error: type[Exception]) -> None:
    told = outcome(error(), "retail.sales", attempts=1)
    assert 400 <= told.status < 500 or told.status == 503
    assert (told.retry_after_s is not None) == isinstance(told, NotNow)
    assert REFUSED[error].reason
