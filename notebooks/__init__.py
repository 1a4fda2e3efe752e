"""Helper modules of the notebook. They keep its cells short and give readable error messages."""
