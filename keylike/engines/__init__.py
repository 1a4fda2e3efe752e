"""Run a reader on photos behind one interface, in threads or in worker processes."""
