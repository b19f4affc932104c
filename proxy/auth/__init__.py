"""Who a caller is, and what it may do: judged from what is handed in. No clock, no I/O."""
