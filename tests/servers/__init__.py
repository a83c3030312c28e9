"""Real servers for tests: how each gets onto a machine (`make servers`), and the fixtures that run them.

A recipe says how one server is made; `cache` keeps what it made. `fixtures` starts what a test asks for.
"""
