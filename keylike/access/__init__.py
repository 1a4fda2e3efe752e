"""Access control without HTTP: tokens, tiers, policies and quotas."""
