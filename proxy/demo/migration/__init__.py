"""`stepbridge demo --migrate`: one route climbs from an old service to Kafka, and comes back, while stores call it."""
