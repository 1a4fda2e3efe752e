"""Run a reader on photos in threads or in worker processes, behind one interface."""
