"""Real processes of the library, a real Redis, and a judge that counts the sockets of each user."""
