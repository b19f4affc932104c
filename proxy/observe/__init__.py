"""What the bridge says about itself: metrics and logs. The only room that imports prometheus_client."""
