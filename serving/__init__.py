"""How the application is served: the process, its sockets, and what the machine offers."""
