"""How fast and how small: measurements that anybody can run again; see README.md."""
