"""The storm: a hundred thousand hostile requests over real sockets, every answer held against the contract."""
