"""The crafts that agents have learned: for each type of task its problems, their truth, and rules for solving them."""
