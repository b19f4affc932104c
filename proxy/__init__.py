"""Stepbridge: a bridge between REST clients and Kafka. The reading order is in README.md, "The house"."""

__version__ = "0.1.0"
