"""HTTP to others: issuers of tokens, whose keys are fetched, and the old services behind the bridge."""
