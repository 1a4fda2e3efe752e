"""Reading in processes of their own: a nursery that loads the reader once, children forked from it, and the server's side of them."""
