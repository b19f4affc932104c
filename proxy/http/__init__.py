"""The configured routes: HTTP in, one call to a service, HTTP out. Raw ASGI, compiled from the configuration."""
