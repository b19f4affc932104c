"""From a request to its route and its record, and from a receipt to the answer. Compiled at start; pure."""
