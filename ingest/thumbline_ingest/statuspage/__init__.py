"""The status page: whether everything is wired right, what became of each event, and a search for one."""
