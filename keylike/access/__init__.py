"""Who may use the server, and how much of it: tokens, tiers, policies and quotas. Plain Python, no HTTP."""
