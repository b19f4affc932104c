"""One route at a time from the old service to Kafka, and back: stages, who serves which, and how that is changed."""
