"""What the command line prints: tables and lines made from results, nothing asked or decided."""
